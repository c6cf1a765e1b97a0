package io.fluxtally.usage.chat;

import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.reactor.FluxTap;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.Reservation;
import io.fluxtally.usage.scope.UsageScope;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;

/** A model's stream, each subscription to which is a call that the limits of its run must let through. */
final class AdmittedCalls {

    private AdmittedCalls() {}

    /** Opens the capture of one call. */
    @FunctionalInterface
    interface Opening {

        ChatCapture open(@Nullable UsageScope outer, Reservation reservation);
    }

    /**
     * Captures a stream. A subscription that is not let through ends with the refusal, and the stream is not subscribed to.
     */
    static <T> Flux<T> capture(Flux<T> stream, Opening opening) {
        Flux<T> bound = new CallOnThread<>(stream);
        return Flux.deferContextual(context -> {
            ChatCapture capture;
            try {
                capture = open(UsageScope.current(context), opening);
            } catch (UsageLimitExceededException refused) {
                throw refused;
            } catch (Throwable failure) {
                MeasuringFailures.report("the listener of a stream", failure);
                return bound;
            }
            return FluxTap.listen(bound, same -> capture);
        });
    }

    /**
     * Opens the capture of a call in the given scope.
     *
     * @throws UsageLimitExceededException if a limit does not let it through
     */
    static ChatCapture open(@Nullable UsageScope outer, Opening opening) {
        Reservation reservation = Reservation.of(outer);
        try {
            return opening.open(outer, reservation);
        } catch (Throwable failure) {
            reservation.release();
            throw failure;
        }
    }
}
