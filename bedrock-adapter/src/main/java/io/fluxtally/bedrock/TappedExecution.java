package io.fluxtally.bedrock;

import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.WireRequest;
import java.net.ConnectException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.http.SdkHttpResponse;

/**
 * What the SDK makes of one call to it: one request, or several if it tries again.
 *
 * <p>Safe for use by several threads.
 */
final class TappedExecution {

    /** By these words an error says that there was nothing to send a try over; of an earlier try they are all there is. */
    private static final List<String> NO_CONNECTION =
            List.of("Acquire operation took longer than", "Connection refused");

    private static final List<String> REQUEST_ID = List.of("x-amzn-RequestId", "x-amz-request-id");

    /** A bound on the search through causes, which may go in circles. */
    private static final int MAX_CAUSES = 16;

    private final Object owner;
    private final @Nullable UsageScope scope;

    /** Tries that got no response, by their number; whether they were sent shows at the end at the earliest. */
    private final List<Unanswered> unanswered = new ArrayList<>();

    /** What the SDK sends in the try that is under way: an object of its own in each. */
    private @Nullable Object sent;

    private @Nullable WireRequest request;
    private int tries;
    private boolean responded;
    private boolean bodyTapped;
    private boolean ended;

    private record Unanswered(int number, WireRequest request) {}

    TappedExecution(Object owner, @Nullable UsageScope scope) {
        this.owner = owner;
        this.scope = scope;
    }

    Object owner() {
        return owner;
    }

    @Nullable
    UsageScope scope() {
        return scope;
    }

    /** The request that is under way, or null. */
    synchronized @Nullable WireRequest request() {
        return request;
    }

    /** Whether the given object is what the SDK sends in a try not yet seen: an interceptor put on twice is told twice. */
    synchronized boolean begins(Object request) {
        boolean begins = sent != request;
        sent = request;
        return begins;
    }

    /** Whether nobody has tapped the body of the response yet; from now on somebody has. */
    synchronized boolean tapsBody() {
        boolean taps = !bodyTapped;
        bodyTapped = true;
        return taps;
    }

    /** The SDK sends a request, or another if the last one failed; null if it is none to a model. */
    synchronized void sends(@Nullable WireRequest next) {
        WireRequest last = request;
        if (last != null && responded) {
            last.failed();
        } else if (last != null) {
            unanswered.add(new Unanswered(tries, last));
        }
        tries++;
        request = next;
        responded = false;
        bodyTapped = false;
        if (next != null) {
            next.outlivesCall();
        }
    }

    /** The response's head came. */
    synchronized void responded(SdkHttpResponse response) {
        responded = true;
        WireRequest wire = request;
        if (wire != null) {
            wire.responseId(response.firstMatchingHeader(REQUEST_ID).orElse(null));
            wire.responded(
                    response.statusCode(),
                    response.firstMatchingHeader("Content-Type").orElse(null),
                    response.firstMatchingHeader("Content-Encoding").orElse(null));
        }
    }

    /**
     * The SDK is done.
     *
     * @param error what it failed with, or null
     */
    synchronized void end(@Nullable Throwable error) {
        if (ended) {
            return;
        }
        ended = true;
        for (Unanswered last : unanswered) {
            String failure = error == null ? null : failureOf(last.number, error);
            if (error == null || failure == null) {
                last.request.failed();
            } else if (saysNoConnection(failure)) {
                last.request.failedToSend(new ConnectException());
            } else if (isMessageOf(error, failure)) {
                last.request.failedToSend(error);
            } else {
                last.request.failed();
            }
        }
        endLast(error);
    }

    private void endLast(@Nullable Throwable error) {
        WireRequest last = request;
        if (last == null) {
            return;
        }
        if (error == null) {
            last.completed();
        } else if (responded) {
            last.failed();
        } else {
            last.failedToSend(gotNoConnection(error) ? new ConnectException() : error);
        }
    }

    /** Whether the SDK had nothing to send the last try over, which it tells by its words alone. */
    private static boolean gotNoConnection(Throwable error) {
        Throwable cause = error;
        for (int depth = 0; cause != null && depth < MAX_CAUSES; depth++) {
            if (saysNoConnection(cause.getMessage())) {
                return true;
            }
            cause = cause.getCause();
        }
        return false;
    }

    private static boolean saysNoConnection(@Nullable String message) {
        return message != null && NO_CONNECTION.stream().anyMatch(message::contains);
    }

    /**
     * What an earlier try failed with, by all that the SDK keeps of it: a suppressed error with its message,
     * {@code Request attempt 1 failure: ...}; null if it keeps none.
     */
    private static @Nullable String failureOf(int number, Throwable error) {
        String prefix = "Request attempt " + number + " failure: ";
        for (Throwable suppressed : error.getSuppressed()) {
            String message = suppressed.getMessage();
            if (message != null && message.startsWith(prefix)) {
                return message.substring(prefix.length());
            }
        }
        return null;
    }

    /** Whether an earlier try failed as the last one did. */
    private static boolean isMessageOf(Throwable error, String failure) {
        String last = error.getMessage();
        return last != null && last.startsWith(failure);
    }
}
