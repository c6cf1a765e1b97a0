package io.fluxtally.usage.chat;

import static io.fluxtally.usage.chat.Script.PROMPT;
import static io.fluxtally.usage.chat.Script.stop;
import static io.fluxtally.usage.chat.Script.text;
import static io.fluxtally.usage.chat.Script.tokens;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageLimit;
import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.UsageLimitReached;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

@DisplayName("a run with limits")
@Timeout(120)
class LimitedRunTest {

    /** What every call of these tests is billed: 100 + 20. */
    private static final TokenUsage ONE = TokenUsage.of(100, 20);

    private final UsageRecorder recorder = UsageRecorder.withSinks();
    private final AtomicInteger asked = new AtomicInteger();

    private final ChatModel calls = UsageChatModel.of(
            Script.calls(prompt -> {
                asked.incrementAndGet();
                return stop(tokens(100, 20));
            }),
            recorder);

    private final ChatModel streams = UsageChatModel.of(
            Script.streams(Flux.defer(() -> {
                asked.incrementAndGet();
                return Flux.just(text("hel"), stop(tokens(100, 20)));
            })),
            recorder);

    private static RunScope run(UsageLimits limits) {
        return RunScope.start("r-1").withLimits(limits);
    }

    private static UsageLimits limits(UsageLimit limit, long max) {
        return switch (limit) {
            case REQUESTS -> UsageLimits.NONE.withRequests(max);
            case INPUT_TOKENS -> UsageLimits.NONE.withInputTokens(max);
            case OUTPUT_TOKENS -> UsageLimits.NONE.withOutputTokens(max);
            case TOTAL_TOKENS -> UsageLimits.NONE.withTotalTokens(max);
        };
    }

    private static UsageLimitExceededException refusal(Callable<?> call) {
        UsageLimitExceededException refused = catchThrowableOfType(UsageLimitExceededException.class, call::call);
        assertThat(refused).isNotNull();
        return refused;
    }

    private static void assertRefused(UsageLimitExceededException refused, UsageLimit limit, long max, long used) {
        assertThat(refused.runId()).isEqualTo("r-1");
        assertThat(refused.limit()).isEqualTo(limit);
        assertThat(refused.max()).isEqualTo(max);
        assertThat(refused.used()).isEqualTo(used);
        assertThat(refused.asked()).isEqualTo(1);
        assertThat(refused.usage().total()).isEqualTo(ONE.plus(ONE));
        assertThat(refused.usage().isComplete()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"REQUESTS, 2, 2", "INPUT_TOKENS, 101, 200", "OUTPUT_TOKENS, 40, 40", "TOTAL_TOKENS, 121, 240"})
    @DisplayName("lets calls through as long as something is left, then throws, asks no model and books nothing")
    void call(UsageLimit limit, long max, long used) throws Exception {
        RunScope run = run(limits(limit, max));
        run.call(() -> calls.call(PROMPT));
        run.call(() -> calls.call(PROMPT));

        assertRefused(refusal(() -> run.call(() -> calls.call(PROMPT))), limit, max, used);

        assertThat(asked).hasValue(2);
        assertThat(run.usage().requests()).hasSize(2);
        assertThat(run.usage().isComplete()).isTrue();
        assertThat(recorder.processSum().requests()).isEqualTo(2);
        assertThat(UsageScope.current()).isNull();
    }

    @ParameterizedTest
    @CsvSource({"REQUESTS, 2, 2", "INPUT_TOKENS, 101, 200", "OUTPUT_TOKENS, 40, 40", "TOTAL_TOKENS, 121, 240"})
    @DisplayName("lets streams through as long as something is left, then ends them with the error, unsubscribed")
    void stream(UsageLimit limit, long max, long used) {
        RunScope run = run(limits(limit, max));
        Flux<ChatResponse> stream = run.wrap(streams.stream(PROMPT));
        stream.blockLast();
        stream.blockLast();

        StepVerifier.create(stream)
                .expectErrorSatisfies(error -> assertRefused((UsageLimitExceededException) error, limit, max, used))
                .verify();

        assertThat(asked).hasValue(2);
        assertThat(run.usage().requests()).hasSize(2);
        assertThat(run.usage().isComplete()).isTrue();
        assertThat(recorder.processSum().requests()).isEqualTo(2);
    }

    @Test
    @DisplayName("refuses a bare stream that is captured as a model's, but none that may be no model's")
    void capturedStreams() {
        RunScope run = run(UsageLimits.NONE.withRequests(1));
        Flux<ChatResponse> bare = Flux.just(stop(tokens(100, 20)));
        run.wrap(ChatUsage.capture(bare, recorder)).blockLast();

        StepVerifier.create(run.wrap(ChatUsage.capture(bare, recorder))).verifyError(UsageLimitExceededException.class);
        StepVerifier.create(run.wrap(ChatUsage.captureAny(bare, recorder)))
                .expectNextCount(1)
                .verifyComplete();
        assertThat(run.usage().requests()).hasSize(2);
    }

    @Test
    @DisplayName("without a limit, and a call outside any run, are as ever")
    void unlimited() throws Exception {
        RunScope run = RunScope.start();
        RunScope none = run(UsageLimits.NONE);
        for (int i = 0; i < 100; i++) {
            run.call(() -> calls.call(PROMPT));
            none.call(() -> calls.call(PROMPT));
            calls.call(PROMPT);
        }

        assertThat(run.usage().requests()).hasSize(100);
        assertThat(none.usage().requests()).hasSize(100);
        assertThat(recorder.unattributed()).isEqualTo(100);
    }

    @Test
    @DisplayName("counts what was booked before it had limits, and what is booked without asking")
    void bookedElsewhere() {
        RunScope before = RunScope.start("r-1");
        before.tally()
                .add(RequestUsage.builder("a", Instant.EPOCH)
                        .usage(ONE, UsageSource.REPORTED)
                        .build());
        RunScope run = before.withLimits(UsageLimits.NONE.withRequests(2));
        run.branch()
                .tally()
                .add(RequestUsage.builder("b", Instant.EPOCH)
                        .usage(ONE, UsageSource.REPORTED)
                        .build());

        assertRefused(refusal(() -> run.call(() -> calls.call(PROMPT))), UsageLimit.REQUESTS, 2, 2);
    }

    @Test
    @DisplayName("holds over all its branches, labelled or entered inside a call, and a branch may have less")
    void branches() throws Exception {
        RunScope run = run(UsageLimits.NONE.withRequests(3));
        RunScope part = run.branch().withNode("n").withLimits(UsageLimits.NONE.withRequests(1));
        run.branch().withAgent("a").withRound(1).call(() -> calls.call(PROMPT));
        part.call(() -> calls.call(PROMPT));

        UsageLimitExceededException inPart = refusal(() -> part.call(() -> calls.call(PROMPT)));
        assertThat(inPart.max()).isEqualTo(1);
        assertThat(inPart.usage().requests()).hasSize(1);
        run.branch().call(() -> calls.call(PROMPT));
        assertThat(refusal(() -> run.branch().call(() -> calls.call(PROMPT))).max())
                .isEqualTo(3);
        assertThat(run.usage().requests()).hasSize(3);
    }

    @Test
    @DisplayName("gives back what a part of it held when the whole refuses")
    void partsAndWhole() throws Exception {
        RunScope run = run(UsageLimits.NONE.withTotalTokens(1));
        RunScope part = run.branch().withLimits(UsageLimits.NONE.withRequests(1));
        run.call(() -> calls.call(PROMPT));

        for (int i = 0; i < 3; i++) {
            assertThat(refusal(() -> part.call(() -> calls.call(PROMPT))).limit())
                    .isEqualTo(UsageLimit.TOTAL_TOKENS);
        }
    }

    @Test
    @DisplayName("counts a call once that is made by a model around another, streamed or not")
    void wrapped() throws Exception {
        RunScope run = run(UsageLimits.NONE.withRequests(2));
        ChatModel around = UsageChatModel.of(Script.calls(prompt -> calls.call(prompt)), recorder);
        ChatModel aroundStream = UsageChatModel.of(
                Script.streams(prompt -> ChatUsage.captureAny(streams.stream(prompt), recorder)), recorder);

        run.call(() -> around.call(PROMPT));
        run.wrap(aroundStream.stream(PROMPT)).blockLast();

        assertThat(run.usage().requests()).hasSize(2);
        refusal(() -> run.call(() -> around.call(PROMPT)));
        StepVerifier.create(run.wrap(aroundStream.stream(PROMPT))).verifyError(UsageLimitExceededException.class);
    }

    @Test
    @DisplayName("refuses the second call of a model that asks others, and books what the first one came to")
    void secondCallInside() {
        RunScope run = run(UsageLimits.NONE.withRequests(1));
        ChatModel twice = UsageChatModel.of(
                Script.calls(prompt -> {
                    calls.call(prompt);
                    return calls.call(prompt);
                }),
                recorder);

        UsageLimitExceededException refused = refusal(() -> run.call(() -> twice.call(PROMPT)));

        assertThat(refused.used()).isEqualTo(1);
        assertThat(refused.usage().total()).isEqualTo(ONE);
        assertThat(refused.usage().inFlight()).isEqualTo(1);
        assertThat(run.usage().requests()).hasSize(1);
        assertThat(run.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("counts a call that failed or was left, as a request of which nothing is known")
    void failedCalls() {
        RunScope run = run(UsageLimits.NONE.withRequests(2));
        ChatModel failing = UsageChatModel.of(
                Script.calls(prompt -> {
                    throw new IllegalStateException("broken");
                }),
                recorder);

        assertThatIllegalStateException().isThrownBy(() -> run.call(() -> failing.call(PROMPT)));
        run.wrap(UsageChatModel.of(Script.streams(Flux.never()), recorder).stream(PROMPT))
                .subscribe()
                .dispose();

        assertThat(refusal(() -> run.call(() -> failing.call(PROMPT))).used()).isEqualTo(2);
    }

    @Test
    @DisplayName("holds a place for a stream that is under way, and has it no more when the stream was none")
    void placesHeld() {
        RunScope run = run(UsageLimits.NONE.withRequests(1));
        Sinks.Many<ChatResponse> sink = Sinks.many().unicast().onBackpressureBuffer();
        run.wrap(UsageChatModel.of(Script.streams(sink.asFlux()), recorder).stream(PROMPT))
                .subscribe();

        UsageLimitExceededException refused = refusal(() -> run.call(() -> calls.call(PROMPT)));

        assertThat(refused.used()).isEqualTo(1);
        assertThat(refused.usage().requests()).isEmpty();
        assertThat(refused.usage().inFlight()).isEqualTo(1);
        sink.emitComplete(Sinks.EmitFailureHandler.FAIL_FAST);
        assertThat(refusal(() -> run.call(() -> calls.call(PROMPT))).usage().requests())
                .hasSize(1);
    }

    @Test
    @DisplayName("that only notifies goes on, and tells of each limit once, also when listeners throw")
    void soft() throws Exception {
        List<UsageLimitReached> events = new ArrayList<>();
        RunScope run = run(UsageLimits.NONE
                        .withRequests(1)
                        .withOutputTokens(41)
                        .withInputTokens(1_000)
                        .notifying(events::add))
                .withLimits(UsageLimits.NONE.withRequests(1).notifying(reached -> {
                    throw new IllegalStateException("listener");
                }));
        long failures = MeasuringFailures.count();

        for (int i = 0; i < 3; i++) {
            run.call(() -> calls.call(PROMPT));
            run.wrap(streams.stream(PROMPT)).blockLast();
        }

        assertThat(run.usage().requests()).hasSize(6);
        assertThat(events)
                .extracting(UsageLimitReached::limit)
                .containsExactly(UsageLimit.REQUESTS, UsageLimit.OUTPUT_TOKENS);
        assertThat(events).extracting(UsageLimitReached::used).containsExactly(1L, 60L);
        assertThat(events.get(0).usage().requests()).hasSize(1);
        assertThat(MeasuringFailures.count()).isEqualTo(failures + 1);
    }

    @Test
    @DisplayName("may notify at one limit and stop at another")
    void softAndHard() throws Exception {
        List<UsageLimitReached> events = new ArrayList<>();
        RunScope run = run(UsageLimits.NONE.withRequests(1).notifying(events::add))
                .withLimits(UsageLimits.NONE.withRequests(2));

        run.call(() -> calls.call(PROMPT));
        assertThat(events).isEmpty();
        run.call(() -> calls.call(PROMPT));
        refusal(() -> run.call(() -> calls.call(PROMPT)));

        assertThat(events).hasSize(1);
    }

    @Test
    @DisplayName("lets exactly as many of 64 branches through as it may, called or streamed, however they race")
    void race() throws Exception {
        int branches = 64;
        int max = 40;
        ExecutorService threads = Executors.newFixedThreadPool(branches);
        try {
            for (int i = 0; i < 100; i++) {
                asked.set(0);
                boolean streamed = i % 2 == 1;
                RunScope run = run(UsageLimits.NONE.withRequests(max));
                CyclicBarrier start = new CyclicBarrier(branches);
                List<Future<Boolean>> ends = new ArrayList<>();
                for (int branch = 0; branch < branches; branch++) {
                    RunScope part = run.branch();
                    ends.add(threads.submit(() -> {
                        start.await(60, TimeUnit.SECONDS);
                        return isLetThrough(part, streamed);
                    }));
                }
                int through = 0;
                for (Future<Boolean> end : ends) {
                    through += end.get(60, TimeUnit.SECONDS) ? 1 : 0;
                }

                assertThat(asked).hasValue(max);
                assertThat(through).isEqualTo(max);
                assertThat(run.usage().requests()).hasSize(max);
                assertThat(run.usage().isComplete()).isTrue();
            }
        } finally {
            threads.shutdownNow();
        }
    }

    private boolean isLetThrough(RunScope part, boolean streamed) throws Exception {
        try {
            if (streamed) {
                part.wrap(streams.stream(PROMPT)).blockLast();
            } else {
                part.call(() -> calls.call(PROMPT));
            }
            return true;
        } catch (UsageLimitExceededException refused) {
            return false;
        }
    }

    @Test
    @DisplayName("is exceeded in tokens by the calls in flight at most, and then refuses the next")
    void tokenOvershoot() {
        int inFlight = 8;
        RunScope run = run(UsageLimits.NONE.withTotalTokens(150));
        Sinks.Empty<Void> answer = Sinks.empty();
        ChatModel waiting =
                UsageChatModel.of(Script.streams(answer.asMono().thenMany(Flux.just(stop(tokens(100, 20))))), recorder);

        run.wrap(streams.stream(PROMPT)).blockLast();
        for (int i = 0; i < inFlight; i++) {
            run.branch().wrap(waiting.stream(PROMPT)).subscribe();
        }
        answer.emitEmpty(Sinks.EmitFailureHandler.FAIL_FAST);

        assertThat(run.getTokenUsage().totalTokens()).isEqualTo(120 + inFlight * 120);
        assertThat(refusal(() -> run.call(() -> calls.call(PROMPT))).used()).isEqualTo(120 + inFlight * 120);
    }

    @Test
    @DisplayName("of one branch after the other is exceeded in tokens by one response at most")
    void tokenOvershootInOrder() {
        RunScope run = run(UsageLimits.NONE.withTotalTokens(500));

        assertThatExceptionOfType(UsageLimitExceededException.class)
                .isThrownBy(() -> run.wrap(Flux.range(0, 64)
                                .concatMap(
                                        i -> streams.stream(new Prompt("go on")).subscribeOn(Schedulers.parallel())))
                        .blockLast());

        assertThat(run.getTokenUsage().totalTokens()).isEqualTo(5 * 120);
    }

    @Test
    @DisplayName("asks anew for each subscription, so that a retried stream ends at the limit")
    void retried() {
        RunScope run = run(UsageLimits.NONE.withRequests(3));
        ChatModel failing = UsageChatModel.of(
                Script.streams(Flux.defer(() -> {
                    asked.incrementAndGet();
                    return Flux.error(new IllegalStateException("broken"));
                })),
                recorder);

        StepVerifier.create(run.wrap(failing.stream(PROMPT).retry(10))).verifyError(UsageLimitExceededException.class);

        assertThat(asked).hasValue(3);
        assertThat(run.usage().requests()).hasSize(3);
    }
}
