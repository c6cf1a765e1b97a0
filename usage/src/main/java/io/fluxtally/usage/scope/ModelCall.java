package io.fluxtally.usage.scope;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/**
 * One model call as the code above a {@code ChatModel} sees it, and the slot that its requests are booked into.
 *
 * <p>The wire tap {@linkplain #join joins} the call for each request that it sees; then the figures of the wire count.
 * If it saw none by the time the call {@linkplain #end ends}, whoever opened the call books what the response itself
 * said. So a request is booked once, and from the truest seam there is. Where one capture stands around another, the
 * outer call sees what the inner one is answered, and leaves that to it.
 *
 * <p>Safe for use by any number of threads.
 */
public final class ModelCall implements UsageScope {

    private final String id = UUID.randomUUID().toString();
    private final @Nullable RunScope run;
    private final @Nullable String requestModel;
    private final Set<OpenRequest> open = ConcurrentHashMap.newKeySet();
    private int joined;
    private int completed;
    private int failedTries;

    /** The calls made inside this one. */
    private final List<ModelCall> inside = new CopyOnWriteArrayList<>();

    // What the call was answered so far, by what makes it recognisable to a capture around it.
    private volatile @Nullable Object firstResponse;
    private volatile @Nullable Object lastUsage;
    private volatile @Nullable String responseId;

    private ModelCall(@Nullable UsageScope outer, @Nullable String requestModel) {
        this.run = outer == null ? null : outer.runScope();
        this.requestModel = requestModel;
    }

    /**
     * A call that starts now.
     *
     * @param outer the scope it is made in, or null
     * @param requestModel the model asked for, or null if that is not known
     */
    public static ModelCall open(@Nullable UsageScope outer, @Nullable String requestModel) {
        ModelCall call = new ModelCall(outer, requestModel);
        if (outer instanceof ModelCall outerCall) {
            outerCall.inside.add(call);
        }
        return call;
    }

    /** A request that the wire tap sees on behalf of a call. */
    public interface OpenRequest {

        /** Books the request as it stands, unless it is booked already. */
        void abandon();
    }

    @Override
    public @Nullable RunScope runScope() {
        return run;
    }

    /**
     * A request of the given scope, with all labels that the scope knows.
     *
     * @param scope the scope the request is made in, or null if there is none
     * @param start when it was sent
     */
    public static RequestUsage.Builder newRequest(@Nullable UsageScope scope, Instant start) {
        RequestUsage.Builder request = RequestUsage.builder(UUID.randomUUID().toString(), start);
        if (scope == null) {
            return request;
        }
        RunScope run = scope.runScope();
        if (run != null) {
            request.runId(run.runId()).agent(run.agent()).node(run.node()).round(run.round());
        }
        if (scope instanceof ModelCall call) {
            call.label(request);
        }
        return request;
    }

    /**
     * Labels a request of this call. A request after one that failed is another attempt; one after a completed request is
     * the next round of a tool loop inside the model, unless the scope names the round; so is one while the last is still
     * open, since the loop may go on before the response has quite ended.
     */
    private synchronized void label(RequestUsage.Builder request) {
        request.callId(id).requestModel(requestModel).attempt(failedTries + 1);
        if (run == null || run.round() == null) {
            request.round(completed + open.size() + 1);
        }
    }

    /** Takes the slot for a request seen on the wire. */
    public synchronized void join(OpenRequest request) {
        joined++;
        open.add(request);
    }

    /** Says that a request that joined was booked. */
    public synchronized void leave(OpenRequest request, RequestOutcome outcome) {
        open.remove(request);
        if (outcome == RequestOutcome.COMPLETED) {
            completed++;
            failedTries = 0;
        } else {
            failedTries++;
        }
    }

    /** Takes the first response object that the call was answered. */
    public void firstResponse(Object response) {
        firstResponse = response;
    }

    /** Takes the last usage object that the call was answered. */
    public void lastUsage(Object usage) {
        lastUsage = usage;
    }

    /** Takes the provider's id of the last response that the call was answered. */
    public void responseId(String id) {
        responseId = id;
    }

    /**
     * Ends the call: requests that the wire tap still holds open are booked as they stand.
     *
     * @return whether nobody books what this call was answered, so that the caller has to
     */
    public boolean end() {
        open.forEach(OpenRequest::abandon);
        synchronized (this) {
            return joined == 0 && inside.stream().noneMatch(this::hasAnswerOf);
        }
    }

    /**
     * Whether an inner call was answered the same, so that it is the one to book it: the same objects, the same response,
     * or both nothing. A call that a tool made in between has an answer of its own.
     */
    private boolean hasAnswerOf(ModelCall inner) {
        Object first = firstResponse;
        Object usage = lastUsage;
        String id = responseId;
        return first == inner.firstResponse
                || (usage != null && usage == inner.lastUsage)
                || (id != null && id.equals(inner.responseId));
    }
}
