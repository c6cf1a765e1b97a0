package io.fluxtally.usage.chat;

import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.reactor.FluxTap;
import io.fluxtally.usage.scope.Reservation;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.publisher.Flux;

/**
 * The usage-capturing operator for streams of {@code ChatResponse}.
 *
 * <pre>{@code
 * Flux<ChatResponse> tapped = ChatUsage.capture(model.stream(prompt), UsageRecorder.shared());
 * }</pre>
 */
public final class ChatUsage {

    private ChatUsage() {}

    /**
     * Captures the usage of what a model streams: each subscription is one model call, booked before its end is passed on.
     * It finds the run in the subscriber's {@code Context}, else on the subscribing thread.
     *
     * <p>To be put right behind the model, before anything that filters. If the wire tap sees the requests behind the
     * stream, its figures count and this books nothing. Where the usage is that of a client which hides the rounds of its
     * own tool loop, the figure is graded {@code PARTIAL}, since a bare stream does not tell whether there were some.
     *
     * <p>Where the run has limits that are reached, a subscription ends with a {@code UsageLimitExceededException}, and the
     * stream is not subscribed to.
     *
     * @param stream what a model streams; one that ends without any chunk was a request all the same
     * @param recorder where to book
     */
    public static Flux<ChatResponse> capture(Flux<ChatResponse> stream, UsageRecorder recorder) {
        return AdmittedCalls.capture(stream, (outer, reservation) -> newCapture(outer, reservation, recorder, true));
    }

    /**
     * Captures the usage of a stream that may be a model's, like {@link #capture}. Elements that are no
     * {@code ChatResponse} pass unheard, and a stream without any books nothing. Since it may be none, it is counted, but not
     * refused where the run has limits.
     *
     * @param stream what may be a model's stream
     * @param recorder where to book
     */
    public static <T> Flux<T> captureAny(Flux<T> stream, UsageRecorder recorder) {
        return FluxTap.listen(new CallOnThread<>(stream), context -> {
            UsageScope outer = UsageScope.current(context);
            return newCapture(outer, Reservation.ofCall(outer), recorder, false);
        });
    }

    private static ChatCapture newCapture(
            @Nullable UsageScope outer, Reservation reservation, UsageRecorder recorder, boolean isModelCall) {
        return new ChatCapture(recorder, outer, reservation, null, new ChunkFold(null, null), null, isModelCall);
    }

    /**
     * The tokens of a Spring AI usage, with the parts that only its native form has where a {@link NativeUsageReader} for
     * it is there; null if it holds none.
     */
    public static @Nullable TokenUsage tokensOf(@Nullable Usage usage) {
        return UsageReading.inFull(usage);
    }
}
