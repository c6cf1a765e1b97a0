package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** A store in memory that fails, refuses or is held up as a test says. */
final class ScriptedStore implements LedgerStore {

    private final Map<String, RequestUsage> records = new LinkedHashMap<>();
    private int appends;
    private int forces;
    private boolean closed;

    volatile boolean broken;
    volatile boolean brokenAfterwards;
    volatile boolean unforced;
    volatile Predicate<RequestUsage> refuses = request -> false;
    volatile @Nullable Semaphore permits;
    final CountDownLatch entered = new CountDownLatch(1);

    @Override
    public int append(List<RequestUsage> batch) {
        entered.countDown();
        Semaphore gate = permits;
        if (gate != null) {
            gate.acquireUninterruptibly();
        }
        synchronized (this) {
            appends++;
            if (broken) {
                throw new LedgerException("it is broken");
            }
            if (batch.stream().anyMatch(refuses)) {
                throw LedgerException.refused("one of these is no good");
            }
            int before = records.size();
            batch.forEach(request -> records.putIfAbsent(request.requestId(), request));
            if (brokenAfterwards) {
                throw new LedgerException("it broke when all was there");
            }
            return records.size() - before;
        }
    }

    @Override
    public synchronized void force() {
        forces++;
        if (unforced) {
            throw new LedgerException("the disk says no");
        }
    }

    @Override
    public synchronized void close() {
        closed = true;
    }

    synchronized List<RequestUsage> records() {
        return List.copyOf(records.values());
    }

    synchronized List<String> ids() {
        return List.copyOf(records.keySet());
    }

    synchronized int appends() {
        return appends;
    }

    synchronized int forces() {
        return forces;
    }

    synchronized boolean closed() {
        return closed;
    }
}
