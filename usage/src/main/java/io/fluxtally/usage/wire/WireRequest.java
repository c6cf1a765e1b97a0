package io.fluxtally.usage.wire;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.Reservation;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.scope.UsageSink;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.fluxtally.usage.wire.dialect.ResponseReading;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.UnknownHostException;
import java.net.http.HttpConnectTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.net.ssl.SSLHandshakeException;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.scheduler.Schedulers;

/**
 * One HTTP request that may be one to a model: told what happens to it, it books it once, at its first end.
 *
 * <p>None of its methods throws. Safe for use by several threads: a cancel may come while bytes are read.
 */
public final class WireRequest implements ModelCall.OpenRequest {

    private static final String PART = "the wire tap";

    /** A bound on the search through causes, which may go in circles. */
    private static final int MAX_CAUSES = 16;

    private static final List<Class<? extends Throwable>> NEVER_SENT = List.of(
            ConnectException.class,
            NoRouteToHostException.class,
            UnknownHostException.class,
            UnresolvedAddressException.class,
            HttpConnectTimeoutException.class,
            SSLHandshakeException.class);

    private enum End {
        COMPLETE,
        ERROR,
        CANCEL
    }

    private final WireTap tap;
    private final @Nullable UsageScope scope;
    private final Instant start = Instant.now();
    private final long startNanos = System.nanoTime();

    private final DialectSearch search;
    private @Nullable BodyReader body;
    private boolean sawBody;
    private boolean unreadable;
    private int status;
    private long firstByteNanos;
    private boolean ended;
    private @Nullable String responseId;

    /** The model asked for by the account of who made the request. */
    private @Nullable String knownModel;

    private boolean outlivesCall;

    /** Who is told of it when it is booked. */
    private List<UsageSink> listeners = List.of();

    /** While the response is read on without the app: all that stops it, at the latest when its time is up. */
    private @Nullable List<Runnable> stops;

    /** What stops the exchange as it stands now, or null if that is left to the client alone. */
    private @Nullable Runnable stop;

    /** Whether its call was left, so that nobody waits for the response. */
    private boolean unwanted;

    /** Whether the response was finished when the client left, and only read on for a last correction of its figures. */
    private boolean finishedBefore;

    private @Nullable Disposable timer;
    private long drained;

    /** The booking as labelled when this turned out to be a request to a model; null until then. */
    private RequestUsage.@Nullable Builder booking;

    /** What it came to, once that is certain. */
    private @Nullable RequestUsage concluded;

    /** The places that it holds in a run with limits. */
    private Reservation reservation = Reservation.NONE;

    WireRequest(WireTap tap, RequestHead head, @Nullable UsageScope scope, boolean asks) {
        this.tap = tap;
        this.scope = scope;
        this.search = new DialectSearch(tap.dialects(), head);
        if (search.isExpected()) {
            adopt(asks);
        }
    }

    /**
     * Makes this a request to a model: from now on it will be booked.
     *
     * @param asks whether the limits of the run are asked for it, so that it may be refused
     */
    private void adopt(boolean asks) {
        reservation = asks ? Reservation.of(scope) : Reservation.ofCall(scope);
        booking = ModelCall.newRequest(scope, start);
        ModelCall call = scope == null ? null : scope.modelCall();
        if (call != null) {
            unwanted = call.join(this, scope == call);
        }
        RunScope run = scope == null ? null : scope.runScope();
        if (run != null) {
            run.tally().begun();
        }
    }

    /** It is over: booked, or never sent. */
    private void over(@Nullable RequestUsage booked) {
        ModelCall call = scope == null ? null : scope.modelCall();
        if (call != null) {
            call.leave(this, booked);
        }
        reservation.release();
        RunScope run = scope == null ? null : scope.runScope();
        if (run != null) {
            run.tally().ended();
        }
    }

    /**
     * The response's head came.
     *
     * @param httpStatus its status
     * @param contentType its content type, or null
     * @param contentEncoding its content encoding, or null; a body that the client has not decoded yet is not read
     */
    public synchronized void responded(int httpStatus, @Nullable String contentType, @Nullable String contentEncoding) {
        status = httpStatus;
        boolean encoded =
                contentEncoding != null && !contentEncoding.isEmpty() && !contentEncoding.equalsIgnoreCase("identity");
        try {
            body = encoded
                    ? null
                    : BodyReader.forContentType(contentType, search, tap.maxEventBytes(), tap::countUnread);
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
        unreadable = body == null;
    }

    /**
     * The response's head gives its id, for a family whose body gives none; one in the body goes before it.
     *
     * @param id the provider's id of the response, or null
     */
    public synchronized void responseId(@Nullable String id) {
        responseId = id;
    }

    /**
     * Says that the client reads the response to its end, and tells of it, even if whoever called it has left: then the end
     * of the model call is not the end of this request, and it is booked when it really ends.
     */
    public synchronized void outlivesCall() {
        outlivesCall = true;
    }

    /** The provider's ids of the tool calls that the response asks for so far; empty if its dialect reads none. */
    public synchronized List<String> toolCallIds() {
        ResponseReading reading = search.found();
        return reading == null ? List.of() : reading.toolCallIds();
    }

    /** Bytes of the body pass: those from the buffer's position to its limit. The buffer must be for this call alone. */
    public void body(ByteBuffer bytes) {
        End end = read(bytes);
        if (end != null) {
            end(end);
        }
    }

    /** Reads bytes and returns the end of the drain, if they bring it. */
    private synchronized @Nullable End read(ByteBuffer bytes) {
        if (ended || !bytes.hasRemaining()) {
            return null;
        }
        if (!sawBody) {
            sawBody = true;
            firstByteNanos = System.nanoTime();
        }
        drained += isLeft() ? bytes.remaining() : 0;
        BodyReader reader = body;
        if (reader != null) {
            try {
                reader.feed(bytes);
                if (booking == null) {
                    if (search.givesUp(reader.bytesRead())) {
                        body = null;
                    } else if (search.found() != null) {
                        adopt(false);
                    }
                }
            } catch (Throwable failure) {
                body = null;
                unreadable = true;
                MeasuringFailures.report(PART, failure);
            }
        }
        Drain drain = tap.drain();
        if (!isLeft() || drain == null) {
            return null;
        }
        return isSettled() ? End.COMPLETE : drained > drain.bytes() ? End.CANCEL : null;
    }

    /** Whether all that can be learnt from the response has been. */
    private boolean isSettled() {
        ResponseReading reading = search.found();
        if (reading == null) {
            return status != 0 && body == null;
        }
        return reading.isFailed() || reading.isSettled();
    }

    private boolean isLeft() {
        return stops != null;
    }

    /** How many bytes of the body are held, for tests. */
    synchronized long heldBytes() {
        BodyReader reader = body;
        return reader == null ? 0 : reader.held();
    }

    /** The body ended. */
    public void completed() {
        end(End.COMPLETE);
    }

    /** The request failed, or its response broke off. */
    public void failed() {
        end(End.ERROR);
    }

    /** The request failed before its response came. One that was never sent is not booked: there is nothing to bill. */
    public void failedToSend(Throwable error) {
        if (!isNeverSent(error)) {
            failed();
            return;
        }
        synchronized (this) {
            if (ended) {
                return;
            }
            ended = true;
        }
        if (booking != null) {
            over(null);
        }
        endDrain();
    }

    /** Whether an error, or what it comes from, says that there was no connection to send anything over. */
    private static boolean isNeverSent(Throwable error) {
        Throwable cause = error;
        for (int depth = 0; cause != null && depth < MAX_CAUSES; depth++) {
            for (Class<? extends Throwable> type : NEVER_SENT) {
                if (type.isInstance(cause)) {
                    return true;
                }
            }
            cause = cause.getCause();
        }
        return false;
    }

    /** The client left, and the request is cancelled, unless it is being drained. */
    public void cancelled() {
        boolean draining;
        synchronized (this) {
            draining = isLeft();
        }
        if (!draining) {
            end(End.CANCEL);
        }
    }

    /**
     * The client leaves. Where the tap drains, and there is something to learn, the response is to be read on without it:
     * told of as ever, until it ends or is stopped. It may leave by several ways, the exchange and then its body; each is
     * told to stop.
     *
     * @param whatStops cancels the request; called once, when all is learnt or a limit is reached
     * @return whether the response is to be read on; if not, the request is to be cancelled
     */
    public synchronized boolean leave(Runnable whatStops) {
        if (ended) {
            return false;
        }
        List<Runnable> all = stops;
        if (all == null) {
            Drain drain = tap.drain();
            if (drain == null || booking == null || isSettled() || !tap.beginsDrain()) {
                return false;
            }
            try {
                timer = Schedulers.boundedElastic()
                        .schedule(() -> end(End.CANCEL), drain.time().toMillis(), TimeUnit.MILLISECONDS);
            } catch (RuntimeException failure) {
                tap.endDrain();
                MeasuringFailures.report(PART, failure);
                return false;
            }
            ResponseReading reading = search.found();
            finishedBefore = reading != null && reading.isFinished();
            all = new ArrayList<>();
            stops = all;
        }
        all.add(whatStops);
        return true;
    }

    /**
     * Sets what stops the exchange when the model call that it is a part of is left, in place of what was set before. If the
     * call has been left already, it is stopped right now.
     *
     * @param whatStops stops it, silently; called any number of times, on any thread
     */
    public void stopsBy(Runnable whatStops) {
        boolean late;
        synchronized (this) {
            stop = whatStops;
            late = unwanted;
        }
        if (late) {
            abandonAndStop();
        }
    }

    @Override
    public synchronized void requestModel(String model) {
        knownModel = model;
    }

    @Override
    public synchronized @Nullable RequestUsage concluded() {
        return concluded;
    }

    @Override
    public void abandon() {
        abandon(() -> {});
    }

    @Override
    public void abandonAndStop() {
        synchronized (this) {
            unwanted = true;
        }
        abandon(this::stop);
    }

    private void abandon(Runnable whatStops) {
        synchronized (this) {
            if (outlivesCall) {
                return;
            }
        }
        // Where it is drained, the cancel has come, or is still on its way here.
        if (!leave(whatStops)) {
            end(End.CANCEL);
            whatStops.run();
        }
    }

    private void stop() {
        Runnable whatStops;
        synchronized (this) {
            whatStops = stop;
        }
        if (whatStops == null) {
            return;
        }
        try {
            whatStops.run();
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }

    private void end(End end) {
        try {
            RequestUsage request = conclude(end);
            if (request == null) {
                return;
            }
            tap.recorder().book(scope == null ? null : scope.runScope(), request, reservation);
            tell(request);
            over(request);
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        } finally {
            endDrain();
        }
    }

    /** Adds one who is told of it when it is booked; nobody if null. */
    synchronized void tells(@Nullable UsageSink sink) {
        if (sink != null) {
            listeners = Stream.concat(listeners.stream(), Stream.of(sink)).toList();
        }
    }

    private void tell(RequestUsage request) {
        List<UsageSink> sinks;
        synchronized (this) {
            sinks = listeners;
        }
        for (UsageSink sink : sinks) {
            try {
                sink.accept(request);
            } catch (Throwable failure) {
                MeasuringFailures.report(WireTap.LISTENER, failure);
            }
        }
    }

    private void endDrain() {
        List<Runnable> all;
        synchronized (this) {
            all = stops;
            stops = null;
            if (timer != null) {
                timer.dispose();
                timer = null;
            }
        }
        if (all == null) {
            return;
        }
        tap.endDrain();
        for (Runnable stop : all) {
            try {
                stop.run();
            } catch (Throwable failure) {
                MeasuringFailures.report(PART, failure);
            }
        }
    }

    private synchronized @Nullable RequestUsage conclude(End end) {
        if (ended) {
            return null;
        }
        ended = true;
        BodyReader reader = body;
        if (reader != null) {
            try {
                reader.end();
            } catch (Throwable failure) {
                unreadable = true;
                MeasuringFailures.report(PART, failure);
            }
        }
        if (booking == null && search.found() != null) {
            adopt(false);
        }
        RequestUsage.Builder request = booking;
        if (request == null) {
            return null;
        }
        request.duration(Duration.ofNanos(System.nanoTime() - startNanos));
        if (sawBody) {
            request.timeToFirstChunk(Duration.ofNanos(firstByteNanos - startNanos));
        }
        try {
            ResponseReading reading = search.found();
            String id = reading == null ? null : reading.responseId();
            request.responseId(id != null ? id : responseId);
            request.responseModel(reading == null ? null : reading.model());
            request.provider(search.provider()).reported(search.reported());
            String requestModel = search.requestModel();
            if (requestModel != null) {
                request.requestModel(requestModel);
            }
            grade(request, end, reading);
        } catch (Throwable failure) {
            // A dialect that fails costs its figure, not the request: that was billed.
            MeasuringFailures.report(PART, failure);
            unreadable = true;
            grade(request, end, null);
        }
        RequestUsage built = request.build();
        concluded = built.requestModel() != null || knownModel == null
                ? built
                : request.requestModel(knownModel).build();
        return concluded;
    }

    private void grade(RequestUsage.Builder request, End end, @Nullable ResponseReading reading) {
        TokenUsage usage = reading == null ? null : reading.usage();
        if (status >= 300 && usage == null) {
            gradeErrorStatus(request);
            return;
        }
        BodyReader reader = body;
        boolean whole = reader != null && reader.isWholeDocument() && (reading == null || !reading.isUnderWay());
        boolean wholeUnread = end == End.COMPLETE && (unreadable || (reader != null && reader.isUnreadDocument()));
        boolean finished = whole || wholeUnread || (reading != null && reading.isFinished());
        RequestOutcome outcome;
        if (reading != null && reading.isFailed()) {
            outcome = RequestOutcome.FAILED;
        } else if (isLeft() && !finishedBefore) {
            outcome = RequestOutcome.CANCELLED;
        } else if (finished) {
            outcome = RequestOutcome.COMPLETED;
        } else {
            outcome = switch (end) {
                case COMPLETE -> RequestOutcome.TRUNCATED;
                case ERROR -> RequestOutcome.FAILED;
                case CANCEL -> RequestOutcome.CANCELLED;
            };
        }
        request.outcome(outcome);
        if (reading == null || usage == null) {
            TokenUsage estimated = estimate(reading);
            request.usage(estimated, estimated == null ? UsageSource.MISSING : UsageSource.ESTIMATED);
        } else {
            boolean reported = (whole || reading.isUsageFinal()) && reading.isUsageWhole();
            request.usage(usage, reported ? UsageSource.REPORTED : UsageSource.PARTIAL);
        }
    }

    /** What the call that this is a request of estimates for its response, or null. */
    private @Nullable TokenUsage estimate(@Nullable ResponseReading reading) {
        return scope instanceof ModelCall call ? call.estimate(reading == null ? null : reading.responseId()) : null;
    }

    /**
     * An error status is the provider's word that there is no response, and none is billed; nor is a redirect. Only a
     * timeout, or a gateway's word that it got no answer (408, 499, 502, 504, and 520 to 527 of one that has its own),
     * leaves open whether the model had already worked.
     */
    private void gradeErrorStatus(RequestUsage.Builder request) {
        if (status == 408 || status == 499 || status == 502 || status == 504 || (status >= 520 && status <= 527)) {
            request.usage(null, UsageSource.MISSING).outcome(RequestOutcome.FAILED);
        } else {
            request.usage(TokenUsage.ZERO, UsageSource.REPORTED).outcome(RequestOutcome.REJECTED);
        }
    }
}
