package io.fluxtally.boot.runs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.util.context.Context;

class UsageRunsTest {

    private final RunHistory history = new RunHistory(100, 100, Duration.ofHours(1), 100);
    private final UsageRuns runs = new UsageRuns(history);
    private final Requests requests = new Requests(history);

    @AfterEach
    void nothingIsLeft() {
        assertThat(UsageScope.current()).isNull();
        assertThat(history.open()).isZero();
        assertThat(history.evicted()).isZero();
    }

    private RunRecord only() {
        assertThat(history.runs()).hasSize(1);
        return history.runs().get(0);
    }

    private static TokenUsage tokens(long input, long output) {
        return TokenUsage.of(input, output);
    }

    @Test
    @DisplayName("a flux is a run, which is closed before its completion is passed on")
    void fluxCompletes() {
        AtomicReference<RunState> atEnd = new AtomicReference<>();
        AtomicReference<RunState> before = new AtomicReference<>();

        Flux<String> flux = runs.track(requests.answer("a", 10, 1)
                        .concatWith(requests.answer("b", 20, 2))
                        .doOnNext(element -> before.set(only().state())))
                .doOnComplete(() -> atEnd.set(only().state()));

        StepVerifier.create(flux).expectNext("a", "b").verifyComplete();
        assertThat(before.get()).isEqualTo(RunState.OPEN);
        assertThat(atEnd.get()).isEqualTo(RunState.CLOSED);
        assertThat(only().sum().total()).isEqualTo(tokens(30, 3));
        assertThat(only().isComplete()).isTrue();
    }

    @Test
    @DisplayName("a flux that fails is a run, which is closed before the error is passed on")
    void fluxFails() {
        AtomicReference<RunState> atEnd = new AtomicReference<>();

        Flux<String> flux = runs.track(requests.answer("a", 10, 1).concatWith(Mono.error(new IOException("reset"))))
                .doOnError(error -> atEnd.set(only().state()));

        StepVerifier.create(flux).expectNext("a").verifyErrorMessage("reset");
        assertThat(atEnd.get()).isEqualTo(RunState.CLOSED);
        assertThat(only().sum().total()).isEqualTo(tokens(10, 1));
    }

    @Test
    @DisplayName("a flux that is cancelled is a run, which has what the cancel has booked")
    void fluxIsCancelled() {
        StepVerifier.create(runs.track(requests.endless(40, 6)))
                .expectNext("one")
                .thenCancel()
                .verify();

        assertThat(only().state()).isEqualTo(RunState.CLOSED);
        assertThat(only().sum().total()).isEqualTo(tokens(40, 6));
    }

    @Test
    @DisplayName("a flux without any element is a run like any other")
    void fluxIsEmpty() {
        StepVerifier.create(runs.track(requests.answer("a", 5, 0).flux().filter(a -> false)))
                .verifyComplete();

        assertThat(only().sum().total()).isEqualTo(tokens(5, 0));
        assertThat(only().state()).isEqualTo(RunState.CLOSED);
    }

    @Test
    @DisplayName("each subscription is a run of its own, and assembly is none")
    void resubscription() {
        Flux<String> flux = runs.track(requests.answer("a", 10, 1).flux());
        assertThat(history.runs()).isEmpty();

        StepVerifier.create(flux.repeat(2)).expectNextCount(3).verifyComplete();

        assertThat(history.runs())
                .hasSize(3)
                .allSatisfy(run -> assertThat(run.sum().total()).isEqualTo(tokens(10, 1)));
        assertThat(history.runs()).extracting(RunRecord::runId).doesNotHaveDuplicates();
    }

    @Test
    @DisplayName("T8: what is tried again inside a run is in it, each try")
    void retryInside() {
        AtomicReference<Boolean> failed = new AtomicReference<>(false);
        Mono<String> work = requests.answer("a", 10, 1)
                .flatMap(a -> failed.getAndSet(true) ? Mono.just(a) : Mono.error(new IOException()));

        StepVerifier.create(runs.track(work.flux().retry(1))).expectNext("a").verifyComplete();

        assertThat(only().sum().requests()).isEqualTo(2);
    }

    @Test
    @DisplayName("a mono is a run, which is closed before its value is passed on")
    void monoCompletes() {
        AtomicReference<RunState> atValue = new AtomicReference<>();

        Mono<String> mono = runs.track(requests.answer("a", 10, 1)).doOnNext(a -> atValue.set(only().state()));

        StepVerifier.create(mono).expectNext("a").verifyComplete();
        assertThat(atValue.get()).isEqualTo(RunState.CLOSED);
        assertThat(only().sum().total()).isEqualTo(tokens(10, 1));
    }

    @Test
    @DisplayName("a mono that fails, is empty or is cancelled is a run that is closed")
    void monoEnds() {
        StepVerifier.create(runs.track(requests.answer("a", 1, 0).then(Mono.error(new IOException("reset")))))
                .verifyErrorMessage("reset");
        StepVerifier.create(runs.track(requests.answer("a", 2, 0).then())).verifyComplete();
        StepVerifier.create(runs.track(requests.answer("a", 3, 0).then(Mono.never())))
                .thenCancel()
                .verify();

        assertThat(history.runs())
                .extracting(run -> run.state() + " " + run.sum().total().inputTokens())
                .containsExactlyInAnyOrder("CLOSED 1", "CLOSED 2", "CLOSED 3");
    }

    @Test
    @DisplayName("work is told of its run, and its usage is there when the work has ended")
    void workIsToldOfItsRun() {
        Flux<String> flux = runs.trackFlux(run -> requests.answer("a", 10, 1)
                .concatWith(Mono.fromSupplier(
                        () -> run.id() + " " + run.getTokenUsage().totalTokens())));
        Mono<Long> mono = runs.trackMono(
                run -> requests.answer("a", 10, 1).map(a -> run.usage().total().inputTokens()));

        List<String> elements = flux.collectList().block();
        assertThat(elements).containsExactly("a", only().runId() + " 11");
        assertThat(mono.block()).isEqualTo(10);
    }

    @Test
    @DisplayName("work that cannot even be made ends its run with the error")
    void workThrows() {
        StepVerifier.create(runs.trackFlux(run -> {
                    requests.book(run.scope(), 1, 1);
                    throw new IllegalStateException("no model");
                }))
                .verifyErrorMessage("no model");
        StepVerifier.create(runs.trackMono(run -> {
                    requests.book(run.scope(), 1, 1);
                    throw new IllegalStateException("no model");
                }))
                .verifyErrorMessage("no model");

        assertThat(history.runs())
                .hasSize(2)
                .allSatisfy(run -> assertThat(run.state()).isEqualTo(RunState.CLOSED));
    }

    @Test
    @DisplayName("a task is a run on its thread, which it gives back as it was")
    void task() {
        String answer = runs.track(() -> {
            requests.book(10, 1);
            assertThat(runs.current())
                    .hasValueSatisfying(run -> assertThat(run.getTokenUsage()).isEqualTo(tokens(10, 1)));
            assertThat(history.open()).isEqualTo(1);
            return "a";
        });

        assertThat(answer).isEqualTo("a");
        assertThat(runs.current()).isEmpty();
        assertThat(only().state()).isEqualTo(RunState.CLOSED);
        assertThat(only().sum().total()).isEqualTo(tokens(10, 1));
    }

    @Test
    @DisplayName("a task fails with what it throws, and its run is closed")
    void taskFails() throws Exception {
        assertThatExceptionOfType(IOException.class)
                .isThrownBy(() -> runs.track(() -> {
                    requests.book(10, 1);
                    throw new IOException("reset");
                }));
        Callable<String> callable = () -> "called";

        assertThat(runs.track(callable::call)).isEqualTo("called");
        assertThat(runs.<String, RuntimeException>track(() -> null)).isNull();
        assertThat(only().state()).isEqualTo(RunState.CLOSED);
    }

    @Test
    @DisplayName("a run opened by hand counts what is done in its scope, and nothing else of the thread")
    void byHand() throws Exception {
        try (UsageRun run = runs.open()) {
            requests.book(7, 7);
            run.scope().call(() -> {
                requests.book(10, 1);
                return null;
            });
            run.scope().wrap(requests.answer("a", 20, 2)).block();
            assertThat(run.getTokenUsage()).isEqualTo(tokens(30, 3));
            assertThat(run).hasToString("UsageRun[" + run.id() + "]");
        }

        assertThat(requests.unattributed()).isEqualTo(1);
        assertThat(only().sum().total()).isEqualTo(tokens(30, 3));
    }

    @Test
    @DisplayName("what is opened inside a run is part of it: from zero, under its id, and once in the whole")
    void part() {
        AtomicReference<UsageRun> part = new AtomicReference<>();
        Flux<String> flux = runs.trackFlux(run -> requests.answer("a", 10, 1)
                .thenMany(runs.trackFlux(inner -> {
                    part.set(inner);
                    return requests.answer("b", 20, 2)
                            .thenMany(Flux.deferContextual(
                                    context -> Flux.just(runs.current(context).orElseThrow())))
                            .map(current -> {
                                assertThat(inner.id()).isEqualTo(run.id());
                                assertThat(inner.getTokenUsage()).isEqualTo(tokens(20, 2));
                                assertThat(current.getTokenUsage()).isEqualTo(tokens(30, 3));
                                assertThat(run.getTokenUsage()).isEqualTo(tokens(30, 3));
                                return "c";
                            });
                }))
                .concatWith(Mono.fromSupplier(() -> only().state().name())));

        StepVerifier.create(flux).expectNext("c", "OPEN").verifyComplete();
        assertThat(part.get().getTokenUsage()).isEqualTo(tokens(20, 2));
        assertThat(only().sum().total()).isEqualTo(tokens(30, 3));
    }

    @Test
    @DisplayName("a task inside a run is part of it, and so is what is opened on its thread")
    void partOnThread() {
        runs.track(() -> {
            String whole = runs.current().orElseThrow().id();
            requests.book(10, 1);
            runs.track(() -> {
                requests.book(20, 2);
                try (UsageRun part = runs.open()) {
                    requests.book(part.scope(), 40, 4);
                    assertThat(part.id()).isEqualTo(whole);
                    assertThat(part.getTokenUsage()).isEqualTo(tokens(40, 4));
                }
                return null;
            });
            assertThat(runs.current().orElseThrow().getTokenUsage()).isEqualTo(tokens(70, 7));
            return null;
        });

        assertThat(only().sum().requests()).isEqualTo(3);
    }

    @Test
    @DisplayName("inside a graph, which makes parts of the run, the current run is the whole")
    void currentInsideGraph() {
        AtomicReference<TokenUsage> onThread = new AtomicReference<>();
        Mono<TokenUsage> mono = runs.trackMono(run -> {
            requests.book(run.scope(), 10, 1);
            RunScope node = run.scope().branch().withNode("llm").withRound(1);
            return node.wrap(requests.answer("a", 20, 2).then(Mono.deferContextual(context -> {
                assertThat(node.getTokenUsage()).isEqualTo(tokens(20, 2));
                try (UsageScope.Binding bound = node.bind()) {
                    onThread.set(runs.current().orElseThrow().getTokenUsage());
                }
                return Mono.just(runs.current(context).orElseThrow().getTokenUsage());
            })));
        });

        StepVerifier.create(mono).expectNext(tokens(30, 3)).verifyComplete();
        assertThat(onThread.get()).isEqualTo(tokens(30, 3));
    }

    @Test
    @DisplayName("T18: in the Reactor context the current run is found on any thread")
    void currentOnOtherThread() {
        Mono<Boolean> found = runs.trackMono(run -> Mono.deferContextual(context -> Mono.fromCallable(() -> {
                    assertThat(runs.current()).isEmpty();
                    return runs.current(context).orElseThrow().id().equals(run.id());
                }))
                .subscribeOn(Schedulers.boundedElastic()));

        StepVerifier.create(found).expectNext(true).verifyComplete();
    }

    @Test
    @DisplayName("a run that a graph opened by itself is the current one too, as far as it is seen")
    void currentOfSomebodyElse() throws Exception {
        RunScope elsewhere = RunScope.start("graph-run");
        elsewhere.call(() -> {
            requests.book(10, 1);
            assertThat(runs.current())
                    .hasValueSatisfying(run -> assertThat(run.getTokenUsage()).isEqualTo(tokens(10, 1)));
            return null;
        });

        assertThat(only().state()).isEqualTo(RunState.SEEN);
        assertThat(only().runId()).isEqualTo("graph-run");
        assertThat(only().sum().total()).isEqualTo(tokens(10, 1));
    }

    @Test
    @DisplayName("where there is no run there is no current one, labels or not")
    void noCurrent() throws Exception {
        UsageScope labels = UsageScope.labelled(null, RequestUsage.USER, "u-1");

        assertThat(runs.current()).isEmpty();
        assertThat(runs.current(Context.empty())).isEmpty();
        assertThat(runs.current(labels.writeTo(Context.empty()))).isEmpty();
    }

    @Test
    @DisplayName("closing the current run does nothing: that is for whoever opened it")
    void closingCurrent() {
        runs.track(() -> {
            runs.current().orElseThrow().close();
            assertThat(history.open()).isEqualTo(1);
            return null;
        });
    }

    @Test
    @DisplayName("labels around a run hold in it")
    void labelsAround() throws Exception {
        AtomicReference<UsageScope> inside = new AtomicReference<>();
        UsageScope labels = UsageScope.labelled(null, RequestUsage.USER, "u-1");
        try (UsageScope.Binding bound = labels.bind()) {
            runs.track(() -> {
                inside.set(UsageScope.current());
                return null;
            });
        }
        assertThat(Objects.requireNonNull(inside.get()).labels()).containsEntry(RequestUsage.USER, "u-1");

        runs.trackMono(run -> Mono.deferContextual(context -> {
                    inside.set(UsageScope.current(context));
                    return Mono.empty();
                }))
                .contextWrite(labels::writeTo)
                .block();
        assertThat(Objects.requireNonNull(inside.get()).labels()).containsEntry(RequestUsage.USER, "u-1");
    }

    @Test
    @DisplayName("a run has the id that the app gives it, whatever is around")
    void byId() {
        runs.track(() -> {
            try (UsageRun run = runs.open("order-17")) {
                requests.book(run.scope(), 10, 1);
                assertThat(run.id()).isEqualTo("order-17");
                assertThat(runs.current().orElseThrow().id()).isNotEqualTo("order-17");
            }
            return null;
        });

        assertThat(only().runId()).isEqualTo("order-17");
    }

    @Test
    @DisplayName("one run of an id is open at a time; one that has ended goes on in the history, and counts anew")
    void byIdAgain() {
        try (UsageRun run = runs.open("order-17")) {
            requests.book(run.scope(), 10, 1);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> runs.open("order-17"))
                    .withMessage("runId must not be that of an open run, but is \"order-17\"");
        }
        try (UsageRun again = runs.open("order-17")) {
            assertThat(only().state()).isEqualTo(RunState.OPEN);
            requests.book(again.scope(), 20, 2);
            assertThat(again.getTokenUsage()).isEqualTo(tokens(20, 2));
        }

        assertThat(only().sum().total()).isEqualTo(tokens(30, 3));
        assertThat(only().state()).isEqualTo(RunState.CLOSED);
    }

    @Test
    @DisplayName("an id is not blank and has 256 characters at most")
    void ids() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> runs.open(" "))
                .withMessage("runId must not be blank and have 256 characters or fewer, but has 1");
        assertThatIllegalArgumentException().isThrownBy(() -> runs.open("x".repeat(257)));
        runs.open("x".repeat(256)).close();
    }

    @Test
    @DisplayName(
            "a figure that arrives after the close is in its run, in both its tallies, until when it was in flight")
    void lateFigure() {
        UsageRun run = runs.open("late");
        run.scope().tally().begun();
        run.close();
        assertThat(only().state()).isEqualTo(RunState.CLOSED);
        assertThat(only().inFlight()).isEqualTo(1);
        assertThat(only().isComplete()).isFalse();

        requests.book(run.scope(), 10, 1);
        run.scope().tally().ended();

        assertThat(only().state()).isEqualTo(RunState.CLOSED);
        assertThat(only().sum().total()).isEqualTo(tokens(10, 1));
        assertThat(run.getTokenUsage()).isEqualTo(tokens(10, 1));
        assertThat(only().isComplete()).isTrue();
    }

    @Test
    @DisplayName("closing twice does nothing more, also when the id is open again")
    void closedTwice() {
        UsageRun first = runs.open("order-17");
        requests.book(first.scope(), 1, 1);
        first.close();
        first.close();
        try (UsageRun second = runs.open("order-17")) {
            first.close();
            assertThat(only().state()).isEqualTo(RunState.OPEN);
            requests.book(second.scope(), 1, 1);
        }
    }

    @Test
    @DisplayName("a run that is closed without any request is found by its id and not listed, until one arrives late")
    void withoutRequests() {
        UsageRun run = runs.open("quick");
        assertThat(only().state()).isEqualTo(RunState.OPEN);
        run.close();
        assertThat(history.runs()).isEmpty();
        assertThat(history.run("quick").orElseThrow().state()).isEqualTo(RunState.CLOSED);

        requests.book(run.scope(), 1, 1);

        assertThat(only().state()).isEqualTo(RunState.CLOSED);
        assertThat(only().sum().requests()).isEqualTo(1);
    }

    @Test
    @DisplayName("many runs at the same time, each over many threads: every sum is exact, and none is left open")
    void manyThreads() throws Exception {
        int parallel = 50;
        int each = 40;
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<Future<TokenUsage>> used = new ArrayList<>();
            for (int i = 0; i < parallel; i++) {
                long input = i + 1;
                used.add(threads.submit(() -> runs.trackMono(run -> Flux.range(0, each)
                                .flatMap(n -> requests.answer(n, input, 1).subscribeOn(Schedulers.parallel()))
                                .then(Mono.fromSupplier(run::getTokenUsage)))
                        .block()));
            }
            for (int i = 0; i < parallel; i++) {
                assertThat(used.get(i).get()).isEqualTo(tokens((i + 1L) * each, each));
            }
        } finally {
            threads.shutdownNow();
        }

        assertThat(history.runs())
                .hasSize(parallel)
                .allSatisfy(run -> assertThat(run.isComplete()).isTrue());
        assertThat(history.runs().stream()
                        .mapToLong(run -> run.sum().total().inputTokens())
                        .sum())
                .isEqualTo(each * parallel * (parallel + 1L) / 2);
        assertThat(requests.unattributed()).isZero();
    }

    @Test
    @DisplayName("a listener that throws wherever it can costs the app nothing, and others hear all the same (T22)")
    void brokenListener() throws Exception {
        List<String> heard = new ArrayList<>();
        RunListener broken = (run, context) -> {
            throw new IllegalStateException("broken");
        };
        RunListener brokenLater = (run, context) -> new BrokenRun();
        RunListener other = (run, context) -> new HearingRun(heard);
        UsageRuns listened = new UsageRuns(history, List.of(broken, brokenLater, other));

        assertThat(listened.track(() -> "answer")).isEqualTo("answer");
        StepVerifier.create(listened.track(Flux.just("a"))).expectNext("a").verifyComplete();

        assertThat(heard).containsExactly("bound", "left", "closed", "written", "closed");
    }

    private record HearingRun(List<String> heard) implements RunListener.OpenRun {

        @Override
        public Context writeTo(Context context) {
            heard.add("written");
            return context;
        }

        @Override
        public UsageScope.Binding bind() {
            heard.add("bound");
            return () -> heard.add("left");
        }

        @Override
        public void closed(RunUsage usage) {
            heard.add("closed");
        }
    }

    private static final class BrokenRun implements RunListener.OpenRun {

        @Override
        public Context writeTo(Context context) {
            throw new IllegalStateException("broken");
        }

        @Override
        public UsageScope.Binding bind() {
            return () -> {
                throw new IllegalStateException("broken");
            };
        }

        @Override
        public void closed(RunUsage usage) {
            throw new IllegalStateException("broken");
        }
    }
}
