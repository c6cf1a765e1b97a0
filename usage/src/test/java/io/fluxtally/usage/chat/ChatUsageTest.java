package io.fluxtally.usage.chat;

import static io.fluxtally.usage.chat.Script.chunk;
import static io.fluxtally.usage.chat.Script.stop;
import static io.fluxtally.usage.chat.Script.text;
import static io.fluxtally.usage.chat.Script.tokens;
import static io.fluxtally.usage.chat.Script.usageOnly;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.EmptyUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.test.publisher.TestPublisher;
import reactor.util.context.ContextView;

class ChatUsageTest {

    private static final TokenUsage BILL = TokenUsage.of(5000, 2000);

    private final RunScope run = RunScope.start("run");
    private final UsageRecorder recorder = UsageRecorder.withSinks();
    private final RuntimeException broken = new IllegalStateException("broken");

    private Flux<ChatResponse> captured(Flux<ChatResponse> stream) {
        return run.wrap(ChatUsage.capture(stream, recorder));
    }

    private RequestUsage only() {
        assertThat(run.usage().requests()).hasSize(1);
        return run.usage().requests().get(0);
    }

    static Stream<Arguments> streams() {
        Usage bill = tokens(5000, 2000);
        return Stream.of(
                Arguments.of(
                        "T1: usage on a last chunk without choices",
                        List.of(text("Hel"), text("lo"), stop(null), usageOnly(bill))),
                Arguments.of("T1: usage on the last chunk with text", List.of(text("Hel"), text("lo"), stop(bill))),
                Arguments.of(
                        "T1: a running total on every chunk",
                        List.of(text("Hel", tokens(5000, 1)), text("lo", tokens(5000, 700)), stop(bill))),
                Arguments.of(
                        "T1: a running total on every chunk, with empty usage in between and after",
                        List.of(
                                text("Hel", tokens(5000, 1)),
                                text("lo", new EmptyUsage()),
                                text(" you", new DefaultUsage(0, 0, 0)),
                                stop(bill),
                                usageOnly(new EmptyUsage()))),
                Arguments.of(
                        "T2: one usage on two chunks", List.of(text("Hel"), stop(bill), usageOnly(tokens(5000, 2000)))),
                Arguments.of(
                        "T2: the same usage object on all chunks",
                        List.of(text("Hel", bill), stop(bill), usageOnly(bill))));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("streams")
    @DisplayName("T1, T2: inside a response the last figure counts, once")
    void lastFigureOnce(String name, List<ChatResponse> chunks) {
        StepVerifier.create(captured(Flux.fromIterable(chunks)))
                .expectNextSequence(chunks)
                .verifyComplete();

        assertThat(only().usage()).as(name).isEqualTo(BILL);
        assertThat(only().source()).isEqualTo(UsageSource.REPORTED);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.COMPLETED);
        assertThat(run.getTokenUsage()).isEqualTo(BILL);
        assertThat(run.usage().isComplete()).isTrue();
    }

    /** A request on the wire that came to no figure. */
    private static RequestUsage ended(RequestOutcome outcome) {
        return RequestUsage.builder("ended", Instant.EPOCH).outcome(outcome).build();
    }

    @Test
    @DisplayName("T14: a total beyond input plus output is booked as reported")
    void totalBeyond() {
        captured(Flux.just(stop(new DefaultUsage(10, 5, 40)))).blockLast();

        assertThat(only().usage().totalTokens()).isEqualTo(40);
    }

    @Test
    @DisplayName("T4: last inside a response, sum across responses: three rounds are the bill")
    void acrossResponses() {
        int[][] rounds = {{5000, 2000}, {8000, 3000}, {6000, 2500}};
        for (int[] round : rounds) {
            captured(Flux.just(text("a", tokens(round[0], 1)), stop(tokens(round[0], round[1]))))
                    .blockLast();
        }

        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(19_000, 7_500));
        assertThat(run.getTokenUsage().totalTokens()).isEqualTo(26_500);
    }

    @Test
    @DisplayName("a request carries the response's id and model, and the times of the stream")
    void identity() {
        captured(Flux.just(chunk("", "Hel", null, null), chunk("chatcmpl-1", "lo", "stop", tokens(1, 1))))
                .blockLast();

        assertThat(only().responseId()).isEqualTo("chatcmpl-1");
        assertThat(only().responseModel()).isEqualTo("qwen-plus-2025");
        assertThat(only().runId()).isEqualTo("run");
        assertThat(only().callId()).isNotEmpty();
        assertThat(only().timeToFirstChunk()).isNotNull().isLessThanOrEqualTo(only().duration());
    }

    @Test
    @DisplayName("T7: a cancel keeps what is known, as PARTIAL")
    void cancelWithUsage() {
        captured(Flux.concat(Flux.just(text("Hel", tokens(5000, 1)), text("lo", tokens(5000, 700))), Flux.never()))
                .take(2)
                .blockLast();

        assertThat(only().usage()).isEqualTo(TokenUsage.of(5000, 700));
        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.CANCELLED);
        assertThat(run.usage().isComplete()).isFalse();
    }

    @Test
    @DisplayName("T7: a cancel before any usage is MISSING, not zero")
    void cancelBeforeUsage() {
        captured(Flux.concat(Flux.just(text("Hel")), Flux.never())).take(1).blockLast();

        assertThat(only().usage()).isNull();
        assertThat(only().source()).isEqualTo(UsageSource.MISSING);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.CANCELLED);
        assertThat(run.usage().unreported()).isEqualTo(1);
    }

    @Test
    @DisplayName("T7: a cancel after the finish reason, which came with the usage, cuts nothing off")
    void cancelAfterFinish() {
        captured(Flux.concat(Flux.just(text("Hel"), stop(tokens(5000, 2000))), Flux.never()))
                .take(2)
                .blockLast();

        assertThat(only().usage()).isEqualTo(BILL);
        assertThat(only().source()).isEqualTo(UsageSource.REPORTED);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.COMPLETED);
    }

    @Test
    @DisplayName("T7: a cancel after the finish reason but before the usage is MISSING")
    void cancelBetweenFinishAndUsage() {
        captured(Flux.concat(Flux.just(text("Hel"), stop(null)), Flux.never()))
                .take(2)
                .blockLast();

        assertThat(only().source()).isEqualTo(UsageSource.MISSING);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.COMPLETED);
    }

    @Test
    @DisplayName("T7: an error keeps what is known, as PARTIAL, and passes as it is")
    void errorWithUsage() {
        StepVerifier.create(captured(Flux.just(text("Hel", tokens(5000, 700))).concatWith(Mono.error(broken))))
                .expectNextCount(1)
                .verifyErrorSatisfies(error -> assertThat(error).isSameAs(broken));

        assertThat(only().usage()).isEqualTo(TokenUsage.of(5000, 700));
        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.FAILED);
    }

    @Test
    @DisplayName("T7: an error before any usage is MISSING")
    void errorBeforeUsage() {
        StepVerifier.create(captured(Flux.just(text("Hel")).concatWith(Mono.error(broken))))
                .expectNextCount(1)
                .verifyErrorMessage("broken");

        assertThat(only().usage()).isNull();
        assertThat(only().source()).isEqualTo(UsageSource.MISSING);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.FAILED);
    }

    @Test
    @DisplayName("T7: a stream that ends without its usage is MISSING, and counted")
    void completeWithoutUsage() {
        captured(Flux.just(text("Hel"), stop(new EmptyUsage()))).blockLast();

        assertThat(only().source()).isEqualTo(UsageSource.MISSING);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.COMPLETED);
        assertThat(run.usage().isComplete()).isFalse();
    }

    @Test
    @DisplayName("T7: a stream that ends cleanly with an empty finish reason was cut, and its figure is PARTIAL")
    void truncated() {
        captured(Flux.just(chunk("id-1", "Hel", "", tokens(5000, 700)))).blockLast();

        assertThat(only().outcome()).isEqualTo(RequestOutcome.TRUNCATED);
        assertThat(only().usage()).isEqualTo(TokenUsage.of(5000, 700));
        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
    }

    @Test
    @DisplayName("a finish reason counts though a chunk without choices follows it")
    void finishReasonBeforeUsageOnly() {
        captured(Flux.just(chunk("id-1", "Hel", "", null), stop(null), usageOnly(tokens(5000, 2000))))
                .blockLast();

        assertThat(only().outcome()).isEqualTo(RequestOutcome.COMPLETED);
        assertThat(only().source()).isEqualTo(UsageSource.REPORTED);
    }

    @Test
    @DisplayName("T3: several response ids in one stream are hidden rounds, so its figure is PARTIAL")
    void severalResponses() {
        captured(Flux.just(
                        chunk("id-1", "a", "tool_calls", tokens(5000, 2000)),
                        chunk("id-2", "b", "stop", tokens(8000, 3000))))
                .blockLast();

        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.COMPLETED);
        assertThat(run.usage().isComplete()).isFalse();
    }

    @Test
    @DisplayName("T7: several responses of a stream that fails are one failed request, of the greatest figure")
    void severalResponsesThatFail() {
        captured(Flux.just(chunk("id-1", "a", null, tokens(8000, 3000)), chunk("id-2", "b", null, tokens(5000, 2000)))
                        .concatWith(Mono.error(broken)))
                .onErrorComplete()
                .blockLast();

        assertThat(only().usage()).isEqualTo(TokenUsage.of(8000, 3000));
        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.FAILED);
        assertThat(only().timeToFirstChunk()).isNotNull();
    }

    @Test
    @DisplayName("T7: a figure without content is the last word only until there is content again")
    void usageInBetween() {
        captured(Flux.just(text("a"), usageOnly(tokens(5000, 700)), text("b")).concatWith(Flux.never()))
                .take(3)
                .blockLast();

        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.CANCELLED);
    }

    @Test
    @DisplayName("T8: every subscription is a call of its own, booked on its own")
    void resubscription() {
        Flux<ChatResponse> tapped = captured(Flux.just(stop(tokens(5000, 2000))));
        assertThat(run.usage().requests()).isEmpty();

        tapped.blockLast();
        tapped.blockLast();

        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(10_000, 4_000));
        assertThat(run.usage().requests())
                .extracting(RequestUsage::callId)
                .doesNotHaveDuplicates()
                .hasSize(2);
    }

    @Test
    @DisplayName("T8: a retry books the failed try and the one that worked")
    void retry() {
        AtomicInteger tries = new AtomicInteger();
        Flux<ChatResponse> model = Flux.defer(() -> tries.getAndIncrement() == 0
                ? Flux.just(text("Hel", tokens(5000, 1))).concatWith(Flux.error(broken))
                : Flux.just(stop(tokens(5000, 2000))));

        captured(model).retry(1).blockLast();

        assertThat(run.usage().requests())
                .extracting(RequestUsage::outcome, RequestUsage::source, RequestUsage::usage)
                .containsExactly(
                        tuple(RequestOutcome.FAILED, UsageSource.PARTIAL, TokenUsage.of(5000, 1)),
                        tuple(RequestOutcome.COMPLETED, UsageSource.REPORTED, BILL));
    }

    @Test
    @DisplayName("elements that are no chat response pass unheard, and a stream without any books nothing")
    void otherElements() {
        StepVerifier.create(run.wrap(ChatUsage.captureAny(Flux.just("a", "b"), recorder)))
                .expectNext("a", "b")
                .verifyComplete();
        StepVerifier.create(run.wrap(ChatUsage.captureAny(Flux.<Object>error(broken), recorder)))
                .verifyErrorMessage("broken");
        assertThat(run.usage().requests()).isEmpty();

        ChatResponse answer = stop(tokens(5000, 2000));
        StepVerifier.create(run.wrap(ChatUsage.captureAny(Flux.<Object>just("a", answer, "b"), recorder)))
                .expectNext("a", answer, "b")
                .verifyComplete();
        assertThat(only().usage()).isEqualTo(BILL);
    }

    @Test
    @DisplayName("T7: a model's stream that fails or is left before its first chunk is MISSING")
    void noChunk() {
        StepVerifier.create(captured(Flux.error(broken))).verifyErrorMessage("broken");
        StepVerifier.create(captured(Flux.never())).thenCancel().verify();

        assertThat(run.usage().requests())
                .extracting(RequestUsage::source, RequestUsage::outcome)
                .containsExactly(
                        tuple(UsageSource.MISSING, RequestOutcome.FAILED),
                        tuple(UsageSource.MISSING, RequestOutcome.CANCELLED));
    }

    @Test
    @DisplayName("a stream that finds no run is booked to the process, as unattributed")
    void noRun() {
        ChatUsage.capture(Flux.just(stop(tokens(5000, 2000))), recorder).blockLast();

        assertThat(recorder.unattributed()).isEqualTo(1);
        assertThat(recorder.processSum().total()).isEqualTo(BILL);
        assertThat(run.usage().requests()).isEmpty();
    }

    @Test
    @DisplayName("a run bound to the subscribing thread is found where the context has none")
    void runOnThread() throws Exception {
        run.call(() ->
                ChatUsage.capture(Flux.just(stop(tokens(5000, 2000))), recorder).blockLast());

        assertThat(run.getTokenUsage()).isEqualTo(BILL);
        assertThat(recorder.unattributed()).isZero();
    }

    @Test
    @DisplayName("T18: the run in the context is found though the model works on other threads")
    void runAcrossThreads() {
        captured(Flux.just(text("a"), stop(tokens(5000, 2000)))
                        .publishOn(Schedulers.parallel())
                        .subscribeOn(Schedulers.boundedElastic()))
                .subscribeOn(Schedulers.parallel())
                .blockLast();

        assertThat(run.getTokenUsage()).isEqualTo(BILL);
    }

    @Test
    @DisplayName("the model finds its call in the context, with the run behind it")
    void upstreamContext() {
        AtomicReference<UsageScope> seen = new AtomicReference<>();
        Flux<ChatResponse> model = Flux.deferContextual(context -> {
            seen.set(UsageScope.current(context));
            return Flux.just(stop(tokens(1, 1)));
        });

        captured(model).blockLast();

        assertThat(seen.get()).isInstanceOf(ModelCall.class);
        assertThat(seen.get().runScope()).isSameAs(run);
    }

    @Test
    @DisplayName("a request that the wire tap saw is booked by it alone")
    void wireWins() {
        captured(seenOnTheWire(Flux.just(text("a"), stop(tokens(1, 1))))).blockLast();

        assertThat(only().provider()).isEqualTo("wire");
        assertThat(run.getTokenUsage()).isEqualTo(BILL);
    }

    @Test
    @DisplayName("T7: a request that the wire tap holds open when the stream is cancelled is booked by it, at once")
    void wireIsAbandoned() {
        AtomicInteger abandoned = new AtomicInteger();
        Flux<ChatResponse> model = Flux.deferContextual(context -> {
            callOf(context).join(abandoned::incrementAndGet, true);
            return Flux.concat(Flux.just(text("a", tokens(1, 1))), Flux.never());
        });

        captured(model).take(1).blockLast();

        assertThat(abandoned).hasValue(1);
        assertThat(run.usage().requests()).isEmpty();
    }

    private Flux<ChatResponse> seenOnTheWire(Flux<ChatResponse> answer) {
        return Flux.deferContextual(context -> {
            ModelCall call = callOf(context);
            ModelCall.OpenRequest open = () -> {};
            call.join(open, true);
            recorder.book(
                    call.runScope(),
                    ModelCall.newRequest(call, Instant.EPOCH)
                            .provider("wire")
                            .usage(BILL, UsageSource.REPORTED)
                            .build());
            call.leave(open, ended(RequestOutcome.COMPLETED));
            return answer;
        });
    }

    private static ModelCall callOf(ContextView context) {
        return (ModelCall) UsageScope.current(context);
    }

    @Test
    @DisplayName("captures around one another book one answer once")
    void nested() {
        Flux<ChatResponse> once = ChatUsage.capture(Flux.just(text("a"), stop(tokens(5000, 2000))), recorder);

        captured(ChatUsage.capture(once, recorder)).blockLast();

        assertThat(only().usage()).isEqualTo(BILL);
    }

    @Test
    @DisplayName("T7: captures around one another book a cancelled answer once")
    void nestedCancelled() {
        Flux<ChatResponse> endless = Flux.concat(Flux.just(text("a", tokens(5000, 700))), Flux.never());

        captured(ChatUsage.capture(endless, recorder)).take(1).blockLast();

        assertThat(only().usage()).isEqualTo(TokenUsage.of(5000, 700));
        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName("the figure is booked when blockLast() returns, every time")
    void bookedBeforeTheEnd(boolean hop) {
        Flux<ChatResponse> model = Flux.just(text("a"), stop(tokens(5000, 2000)));
        int misses = 0;
        for (int i = 0; i < 2_000; i++) {
            RunScope own = RunScope.start("run-" + i);
            Flux<ChatResponse> tapped =
                    own.wrap(ChatUsage.capture(hop ? model.hide().publishOn(Schedulers.parallel()) : model, recorder));
            (hop ? tapped.publishOn(Schedulers.parallel()) : tapped.subscribeOn(Schedulers.parallel())).blockLast();
            if (!own.getTokenUsage().equals(BILL)) {
                misses++;
            }
        }
        assertThat(misses).isZero();
    }

    @Test
    @DisplayName("T7: where complete and cancel both come, the stream is booked once")
    void completeAndCancel() {
        for (int i = 0; i < 1_000; i++) {
            captured(Flux.just(stop(tokens(1, 1)), usageOnly(tokens(1, 1))).hide())
                    .publishOn(Schedulers.parallel())
                    .take(1)
                    .blockLast();
        }
        awaitRequests(1_000);
        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(1_000, 1_000));
    }

    /** The end that lost the race may return a moment before the one that won it has booked. */
    private void awaitRequests(int expected) {
        long deadline = System.nanoTime() + 60_000_000_000L;
        while (run.usage().sum().requests() < expected && System.nanoTime() < deadline) {
            Thread.onSpinWait();
        }
        assertThat(run.usage().sum().requests()).isEqualTo(expected);
    }

    @Test
    @DisplayName("T22: a usage that throws while it is read leaves the stream as it is, and is counted")
    void usageThatThrows() {
        Usage throwing = new DefaultUsage(1, 1) {
            @Override
            public Integer getPromptTokens() {
                throw broken;
            }
        };
        long before = MeasuringFailures.count();
        List<ChatResponse> chunks = List.of(text("a", throwing), stop(tokens(5000, 2000)));

        StepVerifier.create(captured(Flux.fromIterable(chunks)))
                .expectNextSequence(chunks)
                .verifyComplete();

        assertThat(MeasuringFailures.count() - before).isEqualTo(1);
        assertThat(only().usage()).isEqualTo(BILL);
    }

    @Test
    @DisplayName("a last usage that throws while it is read leaves the figure before it a lower bound")
    void lastUsageThatThrows() {
        Usage throwing = new DefaultUsage(1, 1) {
            @Override
            public Integer getPromptTokens() {
                throw broken;
            }
        };

        captured(Flux.just(text("a", tokens(5000, 700)), stop(throwing))).blockLast();

        assertThat(only().usage()).isEqualTo(TokenUsage.of(5000, 700));
        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
    }

    @Test
    @DisplayName("T22: a sink that throws leaves the stream as it is")
    void sinkThatThrows() {
        UsageRecorder failing = UsageRecorder.withSinks(request -> {
            throw broken;
        });

        StepVerifier.create(run.wrap(ChatUsage.capture(Flux.just(stop(tokens(5000, 2000))), failing)))
                .expectNextCount(1)
                .verifyComplete();

        assertThat(only().usage()).isEqualTo(BILL);
    }

    @Test
    @DisplayName("a cancel after the end books nothing more")
    void lateCancel() {
        TestPublisher<ChatResponse> source =
                TestPublisher.createNoncompliant(TestPublisher.Violation.CLEANUP_ON_TERMINATE);
        Disposable subscription = captured(source.flux()).subscribe();
        source.next(stop(tokens(5000, 2000)));
        source.complete();

        subscription.dispose();

        assertThat(only().source()).isEqualTo(UsageSource.REPORTED);
    }

    @Test
    @DisplayName("T7: a figure from before the finish reason is a running one, if the stream is cancelled there")
    void figureFromBeforeTheFinish() {
        captured(Flux.concat(Flux.just(text("a", tokens(5000, 1)), stop(null)), Flux.<ChatResponse>never()))
                .take(2)
                .blockLast();

        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.COMPLETED);
    }

    @Test
    @DisplayName("a usage that cannot be read does not take the finish reason with it")
    void unreadableUsage() {
        Usage unreadable = new DefaultUsage(1, 1) {
            @Override
            public Integer getPromptTokens() {
                throw broken;
            }
        };

        captured(Flux.just(chunk("id-1", "a", "", tokens(5, 1)), stop(unreadable)))
                .blockLast();

        assertThat(only().outcome()).isEqualTo(RequestOutcome.COMPLETED);
    }

    @Test
    @DisplayName("T9: one capture around another books once, whichever of complete and cancel comes first")
    void nestedCapturesRace() {
        List<RunScope> runs = new ArrayList<>();
        for (int i = 0; i < 5_000; i++) {
            RunScope own = RunScope.start();
            runs.add(own);
            Flux<ChatResponse> inner = ChatUsage.capture(
                            Flux.just(stop(tokens(1, 1)), usageOnly(tokens(1, 1)))
                                    .hide(),
                            recorder)
                    .publishOn(Schedulers.parallel());

            own.wrap(ChatUsage.capture(inner, recorder)).take(1).blockLast();
        }

        assertThat(runs).allSatisfy(own -> assertThat(own.usage().requests()).hasSizeLessThanOrEqualTo(1));
    }
}
