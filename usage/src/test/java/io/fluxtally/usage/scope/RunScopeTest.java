package io.fluxtally.usage.scope;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.util.context.Context;

class RunScopeTest {

    private final RunScope run = RunScope.start("run-1");

    @AfterEach
    void threadIsLeftClean() {
        boolean clean = ThreadScope.get() == null;
        ThreadScope.set(null);
        assertThat(clean).isTrue();
    }

    private static RequestUsage request(String id, long input) {
        return RequestUsage.builder(id, Instant.EPOCH)
                .usage(TokenUsage.of(input, 0), UsageSource.REPORTED)
                .build();
    }

    @Test
    @DisplayName("a run has the id given, or one of its own")
    void id() {
        assertThat(run.runId()).isEqualTo("run-1");
        assertThat(RunScope.start().runId())
                .isNotEmpty()
                .isNotEqualTo(RunScope.start().runId());
        assertThatNullPointerException().isThrownBy(() -> RunScope.start(null)).withMessage("runId");
        assertThat(run.runScope()).isSameAs(run);
    }

    @Test
    @DisplayName("labels make a new scope with the same tally and leave the original as it was")
    void labels() {
        RunScope labelled =
                run.withAgent("planner").withNode("llm").withRound(2).withAttempt(3);

        assertThat(labelled.agent()).isEqualTo("planner");
        assertThat(labelled.node()).isEqualTo("llm");
        assertThat(labelled.round()).isEqualTo(2);
        assertThat(labelled.attempt()).isEqualTo(3);
        assertThat(labelled.runId()).isEqualTo("run-1");
        assertThat(labelled.tally()).isSameAs(run.tally());
        assertThat(run).hasToString("RunScope[runId=run-1, agent=null, node=null, round=null, attempt=1]");
        assertThat(labelled).hasToString("RunScope[runId=run-1, agent=planner, node=llm, round=2, attempt=3]");
        assertThat(labelled.withAgent(null).withNode(null).withRound(null).withAttempt(1))
                .hasToString(run.toString());
    }

    @Test
    @DisplayName("what the app says of the work goes with every request, also into parts and calls of it")
    void appsLabels() {
        RunScope labelled = run.withLabel(RequestUsage.USER, "u1").withLabel(RequestUsage.CONVERSATION, "c1");

        assertThat(run.labels()).isEmpty();
        assertThat(labelled.branch().withAgent("planner").labels())
                .containsExactlyInAnyOrderEntriesOf(Map.of("user", "u1", "conversation", "c1"));
        assertThat(labelled.withLabel("user", "u2").labels()).containsEntry("user", "u2");
        assertThat(ModelCall.newRequest(ModelCall.open(labelled, "qwen"), Instant.EPOCH)
                        .build()
                        .labels())
                .containsExactly(Map.entry("conversation", "c1"), Map.entry("user", "u1"));
    }

    @Test
    @DisplayName("a run that is entered inside labelled work has these labels too, but for those that it has itself")
    void entersLabels() {
        UsageScope outer = UsageScope.labelled(UsageScope.labelled(null, "user", "outer"), "tenant", "t");
        RunScope inner = RunScope.start().withLabel("user", "inner");

        assertThat(outer.runScope()).isNull();
        UsageScope.Binding outerBinding = outer.bind();
        try (outerBinding) {
            UsageScope.Binding binding = inner.bind();
            try (binding) {
                assertThat(UsageScope.current().labels())
                        .containsExactlyInAnyOrderEntriesOf(Map.of("user", "inner", "tenant", "t"));
            }
        }
        assertThat(inner.writeTo(outer.writeTo(Context.empty()))
                        .<UsageScope>get(UsageScope.KEY)
                        .labels())
                .containsEntry("tenant", "t");
    }

    @Test
    @DisplayName("a request outside any run has the labels of the work, and stays unattributed")
    void labelsOutsideRuns() {
        UsageScope labelled = UsageScope.labelled(null, "user", "u1");

        RequestUsage request = ModelCall.newRequest(ModelCall.open(labelled, "qwen"), Instant.EPOCH)
                .build();

        assertThat(request.runId()).isNull();
        assertThat(request.labels()).containsExactly(Map.entry("user", "u1"));
        assertThat(UsageScope.labelled(run, "user", "u1").runScope().tally()).isSameAs(run.tally());
    }

    @Test
    @DisplayName("a label is short, and there are few")
    void labelLimits() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> run.withLabel("", "x"))
                .withMessage("the name of a label must have 1 to 64 characters, but has 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> run.withLabel("user", "x".repeat(257)))
                .withMessage("the value of a label must have 1 to 256 characters, but has 257");
        RunScope full = run;
        for (int i = 0; i < 16; i++) {
            full = full.withLabel("label" + i, "x");
        }
        RunScope labelled = full;
        assertThatIllegalArgumentException()
                .isThrownBy(() -> labelled.withLabel("one more", "x"))
                .withMessage("labels must be 16 or fewer, but \"one more\" is one more");
        assertThat(labelled.withLabel("label3", "y").labels()).hasSize(16);
    }

    @Test
    @DisplayName("attempts begin at 1")
    void attempt() {
        assertThat(run.attempt()).isEqualTo(1);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> run.withAttempt(0))
                .withMessage("attempt must be 1 or more, but is 0");
    }

    @Test
    @DisplayName("T9: a branch keeps the run's id and labels, counts from zero, and is in the run once")
    void branch() {
        RunScope labelled =
                run.withAgent("planner").withNode("llm").withRound(2).withAttempt(3);
        labelled.tally().add(request("before", 100));

        RunScope branch = labelled.branch();
        assertThat(branch.getTokenUsage()).isEqualTo(TokenUsage.ZERO);
        branch.tally().add(request("inside", 10));

        assertThat(branch).hasToString(labelled.toString());
        assertThat(branch.usage().total()).isEqualTo(TokenUsage.of(10, 0));
        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(110, 0));
        assertThat(run.usage().requests()).hasSize(2);
    }

    @Test
    @DisplayName("a figure that arrives late is booked late")
    void late() throws Exception {
        run.call(() -> null);

        run.tally().add(request("late", 5));

        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(5, 0));
    }

    @Test
    @DisplayName("a wrapped flux runs in the scope on every subscription, and its subscriber's context is untouched")
    void wrapFlux() {
        AtomicReference<Boolean> leaked = new AtomicReference<>();
        Flux<UsageScope> found = run.wrap(Flux.deferContextual(context -> Flux.just(UsageScope.current(context))));

        assertThat(found.collectList().block()).containsExactly(run);
        assertThat(found.flatMap(scope -> Mono.deferContextual(context -> {
                            leaked.set(UsageScope.current(context) != null);
                            return Mono.just(scope);
                        }))
                        .blockLast())
                .isSameAs(run);
        assertThat(leaked).hasValue(false);
    }

    @Test
    @DisplayName("T18: a wrapped mono runs in the scope across a thread hop, without help from threads")
    void wrapMono() {
        Mono<UsageScope> found = run.wrap(Mono.deferContextual(context -> Mono.justOrEmpty(UsageScope.current(context)))
                .subscribeOn(Schedulers.boundedElastic()));

        assertThat(found.block()).isSameAs(run);
    }

    @Test
    @DisplayName("T18: a wrapped task runs in the scope on another thread, which is left as it was")
    void wrapRunnable() throws Exception {
        AtomicReference<UsageScope> during = new AtomicReference<>();
        Runnable wrapped = run.wrap(() -> during.set(UsageScope.current()));

        UsageScope after = Threads.call(() -> {
            wrapped.run();
            return UsageScope.current();
        });

        assertThat(during).hasValue(run);
        assertThat(after).isNull();
    }

    @Test
    @DisplayName("a wrapped task that throws gives the thread back and its exception on")
    void wrapRunnableThatThrows() {
        IllegalStateException failure = new IllegalStateException("mine");
        Runnable wrapped = run.wrap(() -> {
            throw failure;
        });

        assertThatExceptionOfType(IllegalStateException.class)
                .isThrownBy(wrapped::run)
                .isSameAs(failure);
        assertThat(UsageScope.current()).isNull();
    }

    @Test
    @DisplayName("T18: tasks of a wrapped executor run in the scope, whoever submits them")
    void wrapExecutor() {
        Deque<Runnable> submitted = new ArrayDeque<>();
        AtomicReference<UsageScope> during = new AtomicReference<>();

        run.wrap(submitted::add).execute(() -> during.set(UsageScope.current()));
        assertThat(during).hasValue(null);
        submitted.remove().run();

        assertThat(during).hasValue(run);
        assertThat(UsageScope.current()).isNull();
    }

    @Test
    @DisplayName("a call runs in the scope and returns what the task returns, null too")
    void call() throws Exception {
        assertThat(run.<UsageScope>call(UsageScope::current)).isSameAs(run);
        assertThat(run.<Object>call(() -> null)).isNull();
        assertThat(UsageScope.current()).isNull();
    }

    @Test
    @DisplayName("a call throws what the task throws and gives the thread back the scope it had")
    void callThatThrows() throws Exception {
        IOException failure = new IOException("mine");
        RunScope outer = RunScope.start("outer");

        UsageScope after = outer.call(() -> {
            assertThatExceptionOfType(IOException.class)
                    .isThrownBy(() -> run.call(() -> {
                        throw failure;
                    }))
                    .isSameAs(failure);
            return UsageScope.current();
        });

        assertThat(after).isSameAs(outer);
    }
}
