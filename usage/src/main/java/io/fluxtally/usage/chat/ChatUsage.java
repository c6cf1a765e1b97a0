package io.fluxtally.usage.chat;

import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.reactor.FluxTap;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
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
     * Captures the usage of a stream: each subscription is one model call, booked before its end is passed on. It finds
     * the run in the subscriber's {@code Context}, else on the subscribing thread.
     *
     * <p>To be put right behind the model, before anything that filters. If the wire tap sees the requests behind the
     * stream, its figures count and this books nothing. Elements that are no {@code ChatResponse} pass unheard, and a
     * stream without any books nothing. Where the usage is that of a client which hides the rounds of its own tool loop, the
     * figure is graded {@code PARTIAL}, since a bare stream does not tell whether there were some.
     *
     * @param stream what a model streams
     * @param recorder where to book
     */
    public static <T> Flux<T> capture(Flux<T> stream, UsageRecorder recorder) {
        return FluxTap.listen(
                stream, context -> new ChatCapture(recorder, UsageScope.current(context), null, null, false));
    }

    /**
     * The tokens of a Spring AI usage, with the parts that only its native form has where a {@link NativeUsageReader} for
     * it is there; null if it holds none.
     */
    public static @Nullable TokenUsage tokensOf(@Nullable Usage usage) {
        return usage == null ? null : UsageReading.of(usage);
    }
}
