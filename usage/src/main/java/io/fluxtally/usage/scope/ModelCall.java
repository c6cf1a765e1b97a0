package io.fluxtally.usage.scope;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import java.lang.ref.WeakReference;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One model call as the code above a {@code ChatModel} sees it, and the slot that its requests are booked into.
 *
 * <p>The wire tap {@linkplain #join joins} the call for each request that it sees; then the figures of the wire count.
 * If none of them is the call's answer by the time it {@linkplain #end ends}, whoever opened the call books what the
 * response itself said. So a request is booked once, and from the truest seam there is. Where one capture stands around another, the
 * outer call sees what the inner one is answered, and leaves that to it.
 *
 * <p>Safe for use by any number of threads.
 */
public final class ModelCall implements UsageScope {

    private final String id = UUID.randomUUID().toString();
    private final @Nullable RunScope run;
    private final Map<String, String> labels;
    private final @Nullable String requestModel;
    private final Reservation reservation;

    /** Whether a request that this call needed was refused by the limits of a run. */
    private volatile boolean refused;

    /** The requests on the wire that are under way, and whether they were made in this very scope. */
    private final Map<OpenRequest, Boolean> open = new LinkedHashMap<>();

    /** What requests on the wire came to. */
    private final List<OnTheWire> onTheWire = new ArrayList<>();

    /** The calls made inside this one, until it ends. */
    private final List<ModelCall> inside = new ArrayList<>();

    private boolean ended;
    private boolean left;
    private int completed;
    private int failedTries;

    // What the call was answered so far, by what makes it recognisable. Objects are told by what they are, not kept.
    private volatile @Nullable WeakReference<Object> firstResponse;
    private volatile @Nullable WeakReference<Object> lastUsage;
    private volatile @Nullable TokenUsage tokens;
    private volatile @Nullable String responseId;

    /** Who estimates; it knows the prompt, and is let go once nobody can ask any more. */
    private volatile @Nullable Estimate estimate;

    private record OnTheWire(
            @Nullable String responseId, @Nullable TokenUsage usage, boolean own) {}

    private ModelCall(@Nullable UsageScope outer, @Nullable String requestModel, Reservation reservation) {
        this.run = outer == null ? null : outer.runScope();
        this.labels = outer == null ? Map.of() : outer.labels();
        this.requestModel = requestModel;
        this.reservation = reservation;
    }

    /** {@link #open(UsageScope, String, Reservation)} for a call that no place is reserved for. */
    public static ModelCall open(@Nullable UsageScope outer, @Nullable String requestModel) {
        return open(outer, requestModel, Reservation.NONE);
    }

    /**
     * A call that starts now. Until it {@linkplain #end ends} or is {@linkplain #close closed}, its run is not complete.
     *
     * @param outer the scope it is made in, or null
     * @param requestModel the model asked for, or null if that is not known
     * @param reservation the places held for it, which it gives back when it is closed
     */
    public static ModelCall open(@Nullable UsageScope outer, @Nullable String requestModel, Reservation reservation) {
        ModelCall call = new ModelCall(outer, requestModel, reservation);
        ModelCall outerCall = outer == null ? null : outer.modelCall();
        if (outerCall != null) {
            outerCall.addInside(call);
        }
        if (call.run != null) {
            call.run.tally().begun();
        }
        return call;
    }

    private synchronized void addInside(ModelCall call) {
        if (!ended) {
            inside.add(call);
        }
    }

    /** A request that the wire tap sees on behalf of a call. */
    public interface OpenRequest {

        /** Books the request as it stands, unless it is booked already. */
        void abandon();

        /**
         * Abandons the request, and stops its exchange: the call was left, and nobody waits for the response any more. The
         * same as {@link #abandon()} unless overridden.
         */
        default void abandonAndStop() {
            abandon();
        }

        /**
         * Says which model was asked for, for a request that does not tell itself, made in no call that does. Does nothing
         * unless overridden.
         */
        default void requestModel(String model) {}

        /**
         * What the request came to, from when that is certain: it may just be being booked, on another thread. Null before, for
         * one that was never sent, and unless overridden.
         */
        default @Nullable RequestUsage concluded() {
            return null;
        }
    }

    /** Estimates what a response of a call used. */
    @FunctionalInterface
    public interface Estimate {

        /**
         * What the response is estimated to have used, or null if nothing of it was heard.
         *
         * @param responseId the provider's id of it, or null for the one that was heard last
         */
        @Nullable
        TokenUsage of(@Nullable String responseId);
    }

    @Override
    public @Nullable RunScope runScope() {
        return run;
    }

    @Override
    public ModelCall modelCall() {
        return this;
    }

    @Override
    public Map<String, String> labels() {
        return labels;
    }

    /** The places held for this call's request, for whoever books it. */
    public Reservation reservation() {
        return reservation;
    }

    /** Says that a request inside this call was refused by the limits of a run. */
    void refused() {
        refused = true;
    }

    /**
     * A request of the given scope, with all labels that the scope knows.
     *
     * @param scope the scope the request is made in, or null if there is none
     * @param start when it was sent
     */
    public static RequestUsage.Builder newRequest(@Nullable UsageScope scope, Instant start) {
        return newRequest(scope, start, 0);
    }

    /**
     * A request of the given scope, with all labels that the scope knows.
     *
     * @param scope the scope the request is made in, or null if there is none
     * @param start when it was sent
     * @param before how many requests of the scope come before it that are not booked yet
     */
    public static RequestUsage.Builder newRequest(@Nullable UsageScope scope, Instant start, int before) {
        RequestUsage.Builder request = RequestUsage.builder(UUID.randomUUID().toString(), start);
        if (scope == null) {
            return request;
        }
        request.labels(scope.labels());
        RunScope run = scope.runScope();
        if (run != null) {
            request.runId(run.runId())
                    .agent(run.agent())
                    .node(run.node())
                    .round(run.round())
                    .attempt(run.attempt());
        }
        if (scope instanceof ModelCall call) {
            call.label(request, before);
        }
        return request;
    }

    /**
     * Labels a request of this call. A request after one that failed is another attempt, and so is that of a call which is
     * made in one; one after a completed request is
     * the next round of a tool loop inside the model, unless the scope names the round; so is one while the last is still
     * open, since the loop may go on before the response has quite ended.
     */
    private synchronized void label(RequestUsage.Builder request, int before) {
        request.callId(id).requestModel(requestModel).attempt((run == null ? 1 : run.attempt()) + failedTries);
        if (run == null || run.round() == null) {
            request.round(completed + ownOpen() + before + 1);
        }
    }

    private void forgetEstimate() {
        if (ended && open.isEmpty()) {
            estimate = null;
        }
    }

    private int ownOpen() {
        return (int) open.values().stream().filter(own -> own).count();
    }

    /**
     * Takes the slot for a request seen on the wire.
     *
     * @param own whether it was made in the scope of this very call, and not in a run that was entered inside it
     * @return whether the call was left already, so that nobody waits for the response
     */
    public synchronized boolean join(OpenRequest request, boolean own) {
        open.put(request, own);
        return left && own;
    }

    /**
     * Says that a request that joined is over.
     *
     * @param booked what was booked for it, or null if it was none
     */
    public synchronized void leave(OpenRequest request, @Nullable RequestUsage booked) {
        Boolean own = open.remove(request);
        forgetEstimate();
        if (own == null || booked == null) {
            return;
        }
        onTheWire.add(new OnTheWire(booked.responseId(), booked.usage(), own));
        if (own && booked.outcome() == RequestOutcome.COMPLETED) {
            completed++;
            failedTries = 0;
        } else if (own) {
            failedTries++;
        }
    }

    /** Takes the first response object that the call was answered. */
    public void firstResponse(Object response) {
        firstResponse = new WeakReference<>(response);
    }

    /** Takes the last usage object that the call was answered, and its tokens. */
    public void lastUsage(Object usage, TokenUsage usageTokens) {
        lastUsage = new WeakReference<>(usage);
        tokens = usageTokens;
    }

    /** Takes the provider's id of the last response that the call was answered. */
    public void responseId(String id) {
        responseId = id;
    }

    /** Sets who estimates what a response of this call used, where its provider does not say. */
    public void estimates(Estimate value) {
        estimate = value;
    }

    /**
     * What a response of this call is estimated to have used, or null if it is not estimated. A round after another was
     * asked what that one was, and what it answered, so its input is not less.
     *
     * @param response the provider's id of it, or null for the one that was heard last
     */
    public @Nullable TokenUsage estimate(@Nullable String response) {
        Estimate estimates = estimate;
        TokenUsage estimated = estimates == null ? null : estimates.of(response);
        if (estimated == null) {
            return null;
        }
        long atLeast = 0;
        synchronized (this) {
            for (OnTheWire request : onTheWire) {
                if (request.own && request.usage != null) {
                    atLeast = request.usage.inputTokens() + request.usage.outputTokens();
                }
            }
        }
        return TokenUsage.of(Math.max(atLeast, estimated.inputTokens()), estimated.outputTokens());
    }

    /**
     * Ends the call: requests that the wire tap still holds open are booked as they stand. To be followed by
     * {@link #close()}, once what has to be booked is.
     *
     * @return whether nobody books what this call was answered, so that the caller has to
     */
    public boolean end() {
        return end(OpenRequest::abandon);
    }

    /**
     * {@link #end()} of a call that was cancelled or has failed: its requests are stopped as well, also one that still
     * comes.
     */
    public boolean endLeft() {
        synchronized (this) {
            left = true;
        }
        return end(OpenRequest::abandonAndStop);
    }

    private boolean end(Consumer<OpenRequest> ending) {
        List<OpenRequest> own;
        synchronized (this) {
            own = open.entrySet().stream()
                    .filter(Map.Entry::getValue)
                    .map(Map.Entry::getKey)
                    .toList();
        }
        own.forEach(ending);
        synchronized (this) {
            // One that is still open after that is being booked on another thread right now.
            return !(refused && isUnanswered())
                    && !open.containsValue(true)
                    && onTheWire.stream().noneMatch(this::isAnswer)
                    && inside.stream().noneMatch(this::hasAnswerOf);
        }
    }

    /**
     * Whether requests were seen on the wire for this call though none of them is its answer: then its own figure may hold
     * some of them, and is not to be called final.
     */
    public synchronized boolean isDoubtful() {
        return !onTheWire.isEmpty();
    }

    /** The call is over and booked. A second time it does nothing. */
    public void close() {
        synchronized (this) {
            if (ended) {
                return;
            }
            ended = true;
            inside.clear();
            onTheWire.clear();
            forgetEstimate();
        }
        reservation.release();
        if (run != null) {
            run.tally().ended();
        }
    }

    /**
     * Whether a request on the wire is this call's answer: the same response, or the same tokens. Where the responses
     * cannot be compared, a request made in the call's own scope is, whatever the client has made of its tokens.
     */
    private boolean isAnswer(OnTheWire request) {
        String id = responseId;
        if (id == null || request.responseId == null ? request.own : id.equals(request.responseId)) {
            return true;
        }
        TokenUsage usage = tokens;
        return usage != null
                && request.usage != null
                && usage.inputTokens() == request.usage.inputTokens()
                && usage.outputTokens() == request.usage.outputTokens();
    }

    /**
     * Whether an inner call was answered the same, so that it is the one to book it: the same objects, the same response,
     * or both nothing. A call that a tool made in between has an answer of its own.
     */
    private boolean hasAnswerOf(ModelCall inner) {
        Object first = referent(firstResponse);
        Object usage = referent(lastUsage);
        String id = responseId;
        return (first == referent(inner.firstResponse) && (first != null || (isUnanswered() && inner.isUnanswered())))
                || (usage != null && usage == referent(inner.lastUsage))
                || (id != null && id.equals(inner.responseId));
    }

    private boolean isUnanswered() {
        return firstResponse == null;
    }

    private static @Nullable Object referent(@Nullable WeakReference<Object> reference) {
        return reference == null ? null : reference.get();
    }
}
