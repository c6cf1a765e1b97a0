package io.fluxtally.conformance.loopback;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** The requests that came, in their order, and those that wait for one to come. Thread-safe. */
final class RequestLog {

    private final List<ReceivedRequest> requests = new ArrayList<>();

    private final Map<Integer, CompletableFuture<ReceivedRequest>> awaited = new HashMap<>();

    void add(ReceivedRequest request) {
        CompletableFuture<ReceivedRequest> waiting;
        synchronized (this) {
            waiting = awaited.remove(requests.size());
            requests.add(request);
        }
        if (waiting != null) {
            waiting.complete(request);
        }
    }

    synchronized List<ReceivedRequest> snapshot() {
        return List.copyOf(requests);
    }

    synchronized int size() {
        return requests.size();
    }

    synchronized CompletableFuture<ReceivedRequest> request(int index) {
        if (index < requests.size()) {
            return CompletableFuture.completedFuture(requests.get(index));
        }
        return awaited.computeIfAbsent(index, i -> new CompletableFuture<>()).copy();
    }
}
