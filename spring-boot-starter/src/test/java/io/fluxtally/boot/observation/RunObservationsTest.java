package io.fluxtally.boot.observation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import io.micrometer.common.KeyValue;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;
import reactor.util.context.Context;

@DisplayName("The observation of a run")
class RunObservationsTest {

    private static final String INPUT = "fluxtally.run.usage.input_tokens";

    private final ObservationRegistry registry = ObservationRegistry.create();
    private final List<Observation.Context> started = new ArrayList<>();
    private final List<Observation.Context> stopped = new ArrayList<>();
    private final RunHistory history = new RunHistory(10, 2, Duration.ofHours(1), 10);
    private final UsageRuns runs = new UsageRuns(history, List.of(new RunObservations(registry)));

    @BeforeEach
    void observe() {
        registry.observationConfig().observationHandler(new ObservationHandler<>() {

            @Override
            public void onStart(Observation.Context context) {
                started.add(context);
            }

            @Override
            public void onStop(Observation.Context context) {
                stopped.add(context);
            }

            @Override
            public boolean supportsContext(Observation.Context context) {
                return true;
            }
        });
    }

    @Test
    @DisplayName("has the run's totals, in a namespace of their own, when it is closed")
    void totals() {
        UsageRun run = runs.open();
        book(
                run.scope(),
                TokenUsage.builder()
                        .inputTokens(100)
                        .outputTokens(10)
                        .part(TokenPart.CACHE_READ_INPUT, 60)
                        .part(TokenPart.CACHE_CREATION_INPUT, 30)
                        .part(TokenPart.REASONING_OUTPUT, 4)
                        .build(),
                UsageSource.REPORTED);
        book(run.scope(), TokenUsage.of(200, 20), UsageSource.PARTIAL);
        assertThat(stopped).isEmpty();

        run.close();
        run.close();

        assertThat(stopped).singleElement().satisfies(context -> {
            assertThat(context.getName()).isEqualTo("fluxtally.run");
            assertThat(context.getLowCardinalityKeyValues()).isEmpty();
            assertThat(values(context))
                    .containsExactlyInAnyOrderEntriesOf(Map.ofEntries(
                            Map.entry("fluxtally.run.id", run.id()),
                            Map.entry(INPUT, "300"),
                            Map.entry("fluxtally.run.usage.output_tokens", "30"),
                            Map.entry("fluxtally.run.usage.total_tokens", "330"),
                            Map.entry("fluxtally.run.usage.cache_read.input_tokens", "60"),
                            Map.entry("fluxtally.run.usage.cache_creation.input_tokens", "30"),
                            Map.entry("fluxtally.run.usage.reasoning.output_tokens", "4"),
                            Map.entry("fluxtally.run.requests", "2"),
                            Map.entry("fluxtally.run.unreported", "1"),
                            Map.entry("fluxtally.run.complete", "false")));
        });
    }

    @Test
    @DisplayName("has no total where nothing was reported (T14)")
    void unknown() {
        try (UsageRun run = runs.open()) {
            book(run.scope(), null, UsageSource.MISSING);
        }

        assertThat(values(stopped.get(0)))
                .containsOnlyKeys(
                        "fluxtally.run.id",
                        "fluxtally.run.requests",
                        "fluxtally.run.unreported",
                        "fluxtally.run.complete");
    }

    @Test
    @DisplayName("is not complete while something is in flight")
    void inFlight() {
        try (UsageRun run = runs.open()) {
            book(run.scope(), TokenUsage.of(100, 10), UsageSource.REPORTED);
            run.scope().tally().begun();
        }

        assertThat(values(stopped.get(0))).containsEntry("fluxtally.run.complete", "false");
    }

    @Test
    @DisplayName("is one, however many parts are opened inside the run")
    void parts() throws Exception {
        runs.track(() -> {
            runs.track(() -> {
                book(runs.current().orElseThrow().scope(), TokenUsage.of(100, 10), UsageSource.REPORTED);
                return null;
            });
            return runs.trackMono(part -> Mono.just(part.id())).block();
        });

        assertThat(stopped).hasSize(1);
        assertThat(values(stopped.get(0))).containsEntry(INPUT, "100");
    }

    @Test
    @DisplayName("is around what the run does on the thread, and gone from it afterwards")
    void onTheThread() throws Exception {
        Observation.ContextView inside =
                runs.track(() -> registry.getCurrentObservation().getContextView());

        assertThat(inside).isSameAs(stopped.get(0));
        assertThat(registry.getCurrentObservationScope()).isNull();
        assertThat(UsageScope.current()).isNull();
    }

    @Test
    @DisplayName("is around what the run does in a stream, below what is around the stream")
    void inAStream() {
        Observation around = Observation.start("around", registry);

        StepVerifier.create(runs.track(Flux.deferContextual(context -> Flux.just(
                                ((Observation) context.get(ObservationThreadLocalAccessor.KEY)).getContextView())))
                        .contextWrite(Context.of(ObservationThreadLocalAccessor.KEY, around)))
                .assertNext(inside -> {
                    assertThat(inside.getName()).isEqualTo("fluxtally.run");
                    assertThat(inside.getParentObservation()).isSameAs(around);
                })
                .verifyComplete();
        assertThat(stopped).hasSize(1);
    }

    @Test
    @DisplayName("is stopped by an error, which it does not carry, since its message may hold text, and by a cancel")
    void otherEnds() {
        StepVerifier.create(runs.track(Flux.error(new IllegalStateException("text of an answer"))))
                .verifyError(IllegalStateException.class);
        StepVerifier.create(runs.track(Flux.never())).thenCancel().verify();

        assertThat(stopped).hasSize(2).allMatch(context -> context.getError() == null);
    }

    @Test
    @DisplayName("is stopped when the run is given up, so that it does not stay active for ever")
    void evicted() {
        UsageRun forgotten = runs.open();
        book(forgotten.scope(), TokenUsage.of(100, 10), UsageSource.REPORTED);
        runs.open("second");

        runs.open("third");

        assertThat(stopped)
                .singleElement()
                .satisfies(context -> assertThat(values(context))
                        .containsEntry("fluxtally.run.id", forgotten.id())
                        .containsEntry(INPUT, "100"));
        forgotten.close();
        assertThat(stopped).hasSize(1);
    }

    @Test
    @DisplayName("is not opened for a run that is refused")
    void refused() {
        runs.open("one");

        assertThatThrownBy(() -> runs.open("one")).isInstanceOf(IllegalArgumentException.class);

        assertThat(started).hasSize(1);
    }

    @Test
    @DisplayName("costs the app nothing when its handlers fail (T22)")
    void failingHandlers() throws Exception {
        ObservationRegistry failing = ObservationRegistry.create();
        failing.observationConfig().observationHandler(new ObservationHandler<>() {

            @Override
            public void onScopeOpened(Observation.Context context) {
                throw new IllegalStateException("at the scope");
            }

            @Override
            public void onStop(Observation.Context context) {
                throw new IllegalStateException("at the end");
            }

            @Override
            public boolean supportsContext(Observation.Context context) {
                return true;
            }
        });
        long before = MeasuringFailures.count();

        String answer = new UsageRuns(history, List.of(new RunObservations(failing))).track(() -> "answer");

        assertThat(answer).isEqualTo("answer");
        assertThat(MeasuringFailures.count()).isGreaterThan(before);
        assertThat(failing.getCurrentObservationScope()).isNull();
    }

    @Test
    @DisplayName("leaves nothing on the thread when its handlers fail at the end of a scope")
    void failingToClose() throws Exception {
        ObservationRegistry failing = ObservationRegistry.create();
        failing.observationConfig().observationHandler(new ObservationHandler<>() {

            @Override
            public void onScopeClosed(Observation.Context context) {
                throw new IllegalStateException("at the end of the scope");
            }

            @Override
            public boolean supportsContext(Observation.Context context) {
                return true;
            }
        });

        new UsageRuns(history, List.of(new RunObservations(failing))).track(() -> "answer");

        assertThat(failing.getCurrentObservationScope()).isNull();
    }

    @Test
    @DisplayName("is none where nobody observes")
    void nobodyObserves() throws Exception {
        UsageRuns unobserved = new UsageRuns(history, List.of(new RunObservations(ObservationRegistry.create())));

        assertThat(unobserved.track(() -> registry.getCurrentObservationScope()))
                .isNull();
    }

    private static void book(RunScope run, TokenUsage usage, UsageSource source) {
        run.tally()
                .add(RequestUsage.builder(UUID.randomUUID().toString(), Instant.EPOCH)
                        .runId(run.runId())
                        .usage(usage, source)
                        .build());
    }

    private static Map<String, String> values(Observation.Context context) {
        Map<String, String> values = new TreeMap<>();
        for (KeyValue value : context.getHighCardinalityKeyValues()) {
            values.put(value.getKey(), value.getValue());
        }
        return values;
    }
}
