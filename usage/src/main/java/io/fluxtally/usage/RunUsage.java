package io.fluxtally.usage;

import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What a run had used at one moment: its total, its requests, and the same by model, node, agent and round.
 *
 * <p>Every view is a fold over the same requests, so each adds up to the total. A request without the label of a view is
 * counted under {@link #NONE} (round 0), so none is left out.
 *
 * <p>Immutable and safe for use by any number of threads. Taking one costs nothing. The sum is made when it is asked for, in
 * the number of requests since one was last asked for; a view too, in the number of all requests.
 */
public final class RunUsage {

    /** The key of requests that lack the label of a view. */
    public static final String NONE = "none";

    /** What a run without any request has used. */
    public static final RunUsage EMPTY = new RunUsage(null, 0);

    private final @Nullable Entry last;
    private final long inFlight;

    RunUsage(@Nullable Entry last, long inFlight) {
        this.last = last;
        this.inFlight = inFlight;
    }

    /**
     * What was used by the given requests, which were stored and are read again.
     *
     * @param requests the requests, each once
     * @param inFlight how many had begun and were not booked
     * @throws IllegalArgumentException if inFlight is negative
     */
    public static RunUsage of(Collection<RequestUsage> requests, long inFlight) {
        if (inFlight < 0) {
            throw new IllegalArgumentException("inFlight must not be negative, but is " + inFlight);
        }
        Entry last = null;
        for (RequestUsage request : requests) {
            last = new Entry(request, last);
        }
        return new RunUsage(last, inFlight);
    }

    /**
     * A request and all those booked before it. Their sum is made when somebody asks for it, and kept: threads that book at
     * one time would make most sums in vain.
     */
    static final class Entry {

        private final RequestUsage request;
        private final @Nullable Entry previous;

        /** Null until it is asked for; two threads that ask at one time make it twice. */
        private @Nullable UsageSum sum;

        Entry(RequestUsage request, @Nullable Entry previous) {
            this.request = request;
            this.previous = previous;
        }

        private UsageSum sum() {
            UsageSum known = sum;
            if (known == null) {
                UsageSum added = UsageSum.EMPTY;
                Entry entry = this;
                while (entry != null && known == null) {
                    added = added.plus(entry.request);
                    entry = entry.previous;
                    known = entry == null ? null : entry.sum;
                }
                known = known == null ? added : known.plus(added);
                sum = known;
            }
            return known;
        }
    }

    /** The sum over all requests of the run. */
    public UsageSum sum() {
        return last == null ? UsageSum.EMPTY : last.sum();
    }

    /** The tokens of all requests of the run: exact if {@link #isComplete()}. */
    public TokenUsage total() {
        return sum().total();
    }

    /** How many requests were booked without the provider's final figure. */
    public long unreported() {
        return sum().unreported();
    }

    /** How many calls and requests had begun at that moment and were not booked yet; 0 once all is over. */
    public long inFlight() {
        return inFlight;
    }

    /** Whether the total is exact: every request has the provider's final figure, and none is in flight. */
    public boolean isComplete() {
        return inFlight == 0 && sum().isComplete();
    }

    /** The requests in the order in which they were sent, which may not be that in which they ended. */
    public List<RequestUsage> requests() {
        RequestUsage[] requests = new RequestUsage[Math.toIntExact(sum().requests())];
        Entry entry = last;
        for (int i = requests.length - 1; entry != null; i--) {
            requests[i] = entry.request;
            entry = entry.previous;
        }
        Arrays.sort(requests, Comparator.comparing(RequestUsage::start));
        return List.of(requests);
    }

    /** The run by the model that answered, or that was asked for where the response names none. */
    public Map<String, UsageSum> byModel() {
        return by(request -> orNone(request.model()));
    }

    /** The run by graph node. */
    public Map<String, UsageSum> byNode() {
        return by(request -> orNone(request.node()));
    }

    /** The run by agent. */
    public Map<String, UsageSum> byAgent() {
        return by(request -> orNone(request.agent()));
    }

    /** The run by round, from 1; 0 for requests that were made in no round. */
    public Map<Integer, UsageSum> byRound() {
        return by(request -> request.round() == null ? 0 : request.round());
    }

    private <K> Map<K, UsageSum> by(Function<RequestUsage, K> key) {
        Map<K, UsageSum> sums = new LinkedHashMap<>();
        for (RequestUsage request : requests()) {
            sums.merge(key.apply(request), UsageSum.EMPTY.plus(request), (sum, one) -> sum.plus(request));
        }
        return Collections.unmodifiableMap(sums);
    }

    private static String orNone(@Nullable String label) {
        return label == null ? NONE : label;
    }

    @Override
    public boolean equals(@Nullable Object o) {
        return o instanceof RunUsage other
                && sum().equals(other.sum())
                && requests().equals(other.requests());
    }

    @Override
    public int hashCode() {
        return sum().hashCode();
    }

    @Override
    public String toString() {
        return "RunUsage[total=%s, requests=%d, unreported=%d]".formatted(total(), sum().requests(), unreported());
    }
}
