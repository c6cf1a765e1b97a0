package io.fluxtally.boot.runs;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Requests that are booked where they are made, as the wire tap does it. */
final class Requests {

    private static final AtomicLong IDS = new AtomicLong();

    private final UsageRecorder recorder;

    Requests(RunHistory history) {
        recorder = UsageRecorder.withSinks(history);
    }

    static RequestUsage of(@Nullable String runId, long input, long output) {
        return of(runId, Instant.EPOCH, input, output);
    }

    static RequestUsage of(@Nullable String runId, Instant start, long input, long output) {
        return RequestUsage.builder("request-" + IDS.incrementAndGet(), start)
                .runId(runId)
                .usage(TokenUsage.of(input, output), UsageSource.REPORTED)
                .build();
    }

    /** One in the given scope. */
    void book(@Nullable UsageScope scope, long input, long output) {
        RunScope run = scope == null ? null : scope.runScope();
        recorder.book(run, of(run == null ? null : run.runId(), input, output));
    }

    /** One in the scope of the current thread. */
    void book(long input, long output) {
        book(UsageScope.current(), input, output);
    }

    /** One in the scope of whoever subscribes, booked then; then the given element. */
    <T> Mono<T> answer(T element, long input, long output) {
        return Mono.deferContextual(context -> {
            book(UsageScope.current(context), input, output);
            return Mono.just(element);
        });
    }

    /** One in the scope of whoever subscribes, booked at whatever end; it answers with one element and goes on for ever. */
    Flux<String> endless(long input, long output) {
        return Flux.deferContextual(context -> Flux.just("one")
                .concatWith(Flux.never())
                .doFinally(end -> book(UsageScope.current(context), input, output)));
    }

    long unattributed() {
        return recorder.unattributed();
    }
}
