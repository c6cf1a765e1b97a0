package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The bounded queue of a ledger. Positions in it count requests since it was made. Not safe for use by several threads: the
 * ledger's lock guards it.
 */
final class RequestQueue {

    private final @Nullable RequestUsage[] ring;
    private long head;
    private long tail;

    RequestQueue(int capacity) {
        this.ring = new RequestUsage[capacity];
    }

    /** Puts a request at the end; there must be room. */
    void put(RequestUsage request) {
        ring[(int) (tail % ring.length)] = request;
        tail++;
    }

    /** Takes the oldest requests, at most so many. */
    List<RequestUsage> take(int max) {
        int count = Math.min(size(), max);
        List<RequestUsage> taken = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int at = (int) (head % ring.length);
            RequestUsage request = ring[at];
            ring[at] = null;
            head++;
            if (request != null) {
                taken.add(request);
            }
        }
        return taken;
    }

    int size() {
        return (int) (tail - head);
    }

    boolean isFull() {
        return size() == ring.length;
    }

    /** Where a full queue is near enough for a second thread to help. */
    int highWaterMark() {
        return ring.length - ring.length / 4;
    }

    /** The position of the oldest request. */
    long head() {
        return head;
    }

    /** The position of the next request that comes. */
    long tail() {
        return tail;
    }
}
