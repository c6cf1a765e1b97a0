package io.fluxtally.usage.reactor;

import reactor.util.context.Context;

/**
 * Hears one subscription of a {@link FluxTap}: every element before the downstream sees it, and exactly one end.
 *
 * <p>The end comes before the downstream is told of it; on cancel, after the cancel went upstream. What a listener throws
 * is counted and logged and changes nothing for the stream.
 *
 * <p>Elements and a complete or error end come one after the other, as Reactive Streams demands; a cancel may come from
 * another thread while an element is being heard.
 *
 * @param <T> the type of the elements
 */
public interface StreamListener<T> {

    /** Hears an element. */
    void onNext(T element);

    /** Hears that the stream completed. */
    void onComplete();

    /** Hears that the stream failed. */
    void onError(Throwable error);

    /** Hears that the downstream cancelled. */
    void onCancel();

    /** The context that the upstream sees, made from the downstream's; the same unless overridden. */
    default Context upstreamContext(Context downstream) {
        return downstream;
    }
}
