package io.fluxtally.ledger;

import io.fluxtally.ledger.Flushes.Flush;
import io.fluxtally.ledger.GuardedStore.Taken;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.UsageSink;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes every booked request and writes it to a {@link LedgerStore}, once, on a thread of its own:
 * {@code recorder.addSink(ledger)}.
 *
 * <p>{@link #accept} puts a request into a bounded queue and returns; it does no I/O, throws nothing, and waits only if the
 * policy is {@link OverflowPolicy#BLOCK}. One daemon thread appends what is queued to the store, in batches. A batch that
 * fails is tried again some times. What the store does not take then, or not fast enough, goes to local spill files
 * ({@link OverflowPolicy#SPILL}, by a second daemon thread where the first is held up), and from there to the store as soon
 * as that takes records again, in this process or at the next start; or it is counted. Nothing is lost without being
 * counted: see {@link LedgerCounters}. Totals in memory do not depend on any of it.
 *
 * <p>Safe for use by any number of threads.
 */
public final class UsageLedger implements UsageSink, AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(UsageLedger.class);

    /** How long {@link #close()} waits. */
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);

    private final GuardedStore store;
    private final LedgerOptions options;
    private final @Nullable Spill spill;
    private final Thread writer;

    /** Held for moments only, never over I/O: the threads that book take it. */
    private final ReentrantLock lock = new ReentrantLock();

    private final Condition work = lock.newCondition();
    private final Condition highWater = lock.newCondition();
    private final Condition room = lock.newCondition();
    private final Condition progress = lock.newCondition();

    // All of these are guarded by the lock.
    private final RequestQueue queue;
    private final Hand writerHand = new Hand();
    private final Hand spillerHand = new Hand();
    private final Hand restHand = new Hand();
    private final Flushes flushes = new Flushes();
    private final LedgerTally tally = new LedgerTally();
    private final BackOff backOff;
    private boolean idle;
    private boolean closing;
    private boolean abandoned;
    private boolean givenUp;
    private boolean finished;
    private boolean flushedAtEnd;

    /** What a thread has taken from the queue and not settled yet. */
    private static final class Hand {

        long start;

        @Nullable
        List<RequestUsage> batch;

        boolean holdsBefore(long position) {
            return batch != null && start < position;
        }

        int size() {
            return batch == null ? 0 : batch.size();
        }
    }

    private UsageLedger(LedgerStore store, LedgerOptions options) {
        this.store = new GuardedStore(store);
        this.options = options;
        this.queue = new RequestQueue(options.capacity());
        this.spill =
                options.spillDirectory() == null ? null : new Spill(options.spillDirectory(), options.maxSpillBytes());
        this.backOff = new BackOff(options.firstBackOff(), options.maxBackOff());
        this.writer = thread("fluxtally-ledger", this::write);
    }

    private static Thread thread(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        return thread;
    }

    /**
     * Opens a ledger on a store, which is the ledger's from now on and closed by it. What an earlier process has left in the
     * spill directory is written to the store.
     *
     * @throws LedgerException if another process has the spill directory, or it cannot be used; the store is not closed then
     */
    public static UsageLedger open(LedgerStore store, LedgerOptions options) {
        UsageLedger ledger = new UsageLedger(store, options);
        ledger.writer.start();
        if (ledger.spill != null) {
            thread("fluxtally-ledger-spill", ledger::spillOverflow).start();
        }
        return ledger;
    }

    @Override
    public void accept(RequestUsage request) {
        lock.lock();
        try {
            if (queue.isFull() && !closing && options.overflow() == OverflowPolicy.BLOCK) {
                waitForRoom();
            }
            tally.accepted();
            if (request == null) {
                tally.dropped(DropReason.REFUSED, 1);
            } else if (closing) {
                tally.dropped(DropReason.CLOSED, 1);
            } else if (queue.isFull()) {
                tally.dropped(DropReason.QUEUE_FULL, 1);
            } else {
                put(request);
            }
        } finally {
            lock.unlock();
        }
    }

    private void put(RequestUsage request) {
        queue.put(request);
        int size = queue.size();
        if (idle && (size == 1 || size >= options.batchSize())) {
            work.signal();
        }
        if (size == queue.highWaterMark()) {
            highWater.signal();
        }
    }

    private void waitForRoom() {
        long left = options.blockLimit().toNanos();
        try {
            while (queue.isFull() && !closing && left > 0) {
                left = room.awaitNanos(left);
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** What the ledger did so far. */
    public LedgerCounters counters() {
        lock.lock();
        try {
            return tally.counters(leftover(), queue.size() + writerHand.size() + spillerHand.size() + restHand.size());
        } finally {
            lock.unlock();
        }
    }

    private long leftover() {
        return spill == null ? 0 : spill.leftover();
    }

    /**
     * Waits until every request that was accepted before is in the store and forced there as its policy says, also those
     * that were spilled; at most so long. It can be called again, and by several threads.
     *
     * @return what is not in the store; nothing, if the flush {@linkplain LedgerFlush#isComplete() is complete}
     */
    public LedgerFlush flush(Duration timeout) {
        lock.lock();
        try {
            Flush flush = new Flush(queue.tail());
            if (!isOver()) {
                flushes.add(flush);
                backOff.tryNow(System.nanoTime());
                work.signal();
            }
            await(() -> flush.isDone() || isOver(), timeout);
            flushes.remove(flush);
            return flush.isDone()
                    ? new LedgerFlush(0, 0, tally.droppedTotal(), flush.isForced())
                    : result(flush.target(), finished && flushedAtEnd);
        } finally {
            lock.unlock();
        }
    }

    /** Whether nothing more will become of what is not in the store. */
    private boolean isOver() {
        return finished || givenUp;
    }

    private interface Until {

        boolean isSo();
    }

    private void await(Until until, Duration timeout) {
        long left = timeout.compareTo(Duration.ofDays(365)) < 0 ? timeout.toNanos() : Long.MAX_VALUE;
        boolean interrupted = false;
        while (!until.isSo() && left > 0) {
            try {
                left = progress.awaitNanos(left);
            } catch (InterruptedException now) {
                interrupted = true;
                break;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private LedgerFlush result(long target, boolean forced) {
        long waiting = Math.max(0, target - queue.head())
                + restHand.size()
                + (writerHand.holdsBefore(target) ? writerHand.size() : 0)
                + (spillerHand.holdsBefore(target) ? spillerHand.size() : 0);
        return new LedgerFlush(waiting, tally.inSpill(leftover()), tally.droppedTotal(), forced);
    }

    /** {@link #close(Duration)} within ten seconds. */
    @Override
    public void close() {
        close(CLOSE_TIMEOUT);
    }

    /**
     * Takes no more requests, writes those that are queued, and those that were spilled if the store takes them, and closes
     * the store; within the given time. What is not in the store then is spilled, or counted as dropped. Closing again waits
     * for the same.
     *
     * @return what is not in the store; nothing, if all that was ever accepted is
     */
    public LedgerFlush close(Duration timeout) {
        lock.lock();
        try {
            if (!closing) {
                closing = true;
                backOff.tryNow(System.nanoTime());
                work.signalAll();
                highWater.signalAll();
                room.signalAll();
            }
            await(this::isOver, timeout);
            if (!isOver() && !abandoned) {
                abandoned = true;
                work.signalAll();
                List<RequestUsage> rest = takeRest();
                lock.unlock();
                // A file that an interrupted thread writes is closed under it.
                boolean interrupted = Thread.interrupted();
                Map<DropReason, Long> failed;
                try {
                    failed = spillRest(rest);
                } finally {
                    lock.lock();
                    if (interrupted) {
                        Thread.currentThread().interrupt();
                    }
                }
                if (release(restHand)) {
                    tally.spilled(rest.size(), failed);
                }
                givenUp = true;
            }
            return result(queue.tail(), flushedAtEnd);
        } finally {
            lock.unlock();
        }
    }

    /** Takes from the other threads what they have not finished, which may hold them up for ever. */
    private List<RequestUsage> takeRest() {
        List<RequestUsage> rest = new ArrayList<>();
        for (Hand hand : List.of(writerHand, spillerHand)) {
            if (hand.batch != null) {
                rest.addAll(hand.batch);
                hand.batch = null;
            }
        }
        rest.addAll(queue.take(Integer.MAX_VALUE));
        room.signalAll();
        rest.removeIf(this::isRefused);
        restHand.batch = rest;
        return rest;
    }

    private Map<DropReason, Long> spillRest(List<RequestUsage> rest) {
        if (spill == null) {
            return Map.of(DropReason.CLOSED, (long) rest.size());
        }
        Map<DropReason, Long> failed = spill.appendNow(rest);
        spill.closeNow();
        return failed;
    }

    private boolean isRefused(RequestUsage request) {
        if (LedgerRecord.isStorable(request)) {
            return false;
        }
        tally.dropped(DropReason.REFUSED, 1);
        return true;
    }

    private List<RequestUsage> takeIn(Hand hand) {
        hand.start = queue.head();
        List<RequestUsage> batch = queue.take(options.batchSize());
        room.signalAll();
        batch.removeIf(this::isRefused);
        hand.batch = batch.isEmpty() ? null : batch;
        return batch;
    }

    /** Ends a batch that was taken in a hand, unless it was taken from there meanwhile. */
    private boolean release(Hand hand) {
        boolean held = hand.batch != null;
        hand.batch = null;
        progress.signalAll();
        return held;
    }

    // The thread that writes

    private void write() {
        try {
            while (step()) {
                // One batch after the other.
            }
        } finally {
            end();
        }
    }

    private boolean step() {
        try {
            List<RequestUsage> batch = nextBatch();
            if (batch == null) {
                return false;
            }
            if (!batch.isEmpty()) {
                append(batch);
            }
            recover();
            answerFlushes();
        } catch (Throwable unexpected) {
            LedgerFailures.report("writing the ledger", unexpected);
            dropInHand();
        }
        return true;
    }

    private void dropInHand() {
        lock.lock();
        try {
            int size = writerHand.size();
            release(writerHand);
            tally.dropped(DropReason.STORE_FAILED, size);
        } finally {
            lock.unlock();
        }
    }

    private void end() {
        boolean forced = store.force();
        forced &= store.close();
        if (spill != null) {
            spill.close();
        }
        lock.lock();
        try {
            finished = true;
            flushedAtEnd = forced;
            progress.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** The next requests to write; none if there is something else to do; null if there is nothing to be done any more. */
    private @Nullable List<RequestUsage> nextBatch() {
        lock.lock();
        try {
            boolean lingers = false;
            long lingerUntil = 0;
            while (!abandoned) {
                long now = System.nanoTime();
                int size = queue.size();
                if (size >= options.batchSize()
                        || size > 0 && (closing || !flushes.isEmpty() || lingers && now - lingerUntil >= 0)) {
                    return takeIn(writerHand);
                }
                if (isRecoveryDue(now) || !answerableFlushes().isEmpty()) {
                    return List.of();
                }
                if (closing && size == 0 && spillerHand.batch == null) {
                    return null;
                }
                if (size > 0 && !lingers) {
                    lingers = true;
                    lingerUntil = now + options.linger().toNanos();
                }
                long wait = lingers ? lingerUntil - now : Long.MAX_VALUE;
                if (spill != null && !spill.isEmpty()) {
                    wait = Math.min(wait, backOff.untilNextTry(now));
                }
                idle = true;
                awaitWork(wait);
                idle = false;
            }
            return null;
        } finally {
            lock.unlock();
        }
    }

    private void awaitWork(long nanos) {
        try {
            if (nanos == Long.MAX_VALUE) {
                work.await();
            } else if (nanos > 0) {
                work.awaitNanos(nanos);
            }
        } catch (InterruptedException notMeant) {
            // Nobody has this thread to interrupt it, and a file would be closed by it: it goes on.
        }
    }

    private boolean isRecoveryDue(long now) {
        return spill != null && !spill.isEmpty() && !backOff.isResting(now);
    }

    private void append(List<RequestUsage> batch) {
        List<RequestUsage> left = batch;
        for (int tries = 0; ; tries++) {
            if (spill != null && isResting()) {
                spillInHand(writerHand, left);
                return;
            }
            Taken taken = store.append(left);
            left = left.subList(taken.settled(), left.size());
            if (!settleWritten(taken, left)) {
                return;
            }
            // The store works, if not for long: its next failure is the first of another batch.
            tries = taken.settled() > 0 ? 0 : tries;
            if (!tryAgain(tries)) {
                break;
            }
        }
        if (spill != null) {
            markDown();
            spillInHand(writerHand, left);
        } else {
            dropInHand();
        }
    }

    /** Waits before a batch is tried again; false if it was tried often enough. */
    private boolean tryAgain(int tries) {
        lock.lock();
        try {
            // One that was down already is asked once: the queue must not wait for it.
            if (tries >= options.retries() || backOff.isDown() || abandoned) {
                return false;
            }
            long now = System.nanoTime();
            backOff.restAfter(tries, now);
            while (!abandoned && backOff.untilNextTry(now) > 0) {
                awaitWork(backOff.untilNextTry(now));
                now = System.nanoTime();
            }
            if (abandoned) {
                return false;
            }
            tally.retried();
            return true;
        } finally {
            lock.unlock();
        }
    }

    private boolean isResting() {
        lock.lock();
        try {
            return backOff.isResting(System.nanoTime());
        } finally {
            lock.unlock();
        }
    }

    private void markDown() {
        lock.lock();
        try {
            if (backOff.failed(System.nanoTime())) {
                LOG.warn("The ledger's store takes no records; they are spilled to {}", options.spillDirectory());
            }
        } finally {
            lock.unlock();
        }
    }

    private void up() {
        lock.lock();
        try {
            if (backOff.worked()) {
                LOG.info("The ledger's store takes records again");
            }
        } finally {
            lock.unlock();
        }
    }

    /** Counts what the store took, and keeps in hand what is left; false if nothing is, or it was taken from there. */
    private boolean settleWritten(Taken taken, List<RequestUsage> left) {
        lock.lock();
        try {
            if (!taken.failed()) {
                up();
            }
            if (!release(writerHand)) {
                return false;
            }
            tally.taken(taken);
            writerHand.batch = left.isEmpty() ? null : left;
            return !left.isEmpty();
        } finally {
            lock.unlock();
        }
    }

    // What is spilled, and read back

    private void spillOverflow() {
        while (true) {
            List<RequestUsage> batch;
            lock.lock();
            try {
                while (queue.size() < queue.highWaterMark() && !closing) {
                    highWater.awaitUninterruptibly();
                }
                if (closing) {
                    return;
                }
                batch = takeIn(spillerHand);
            } finally {
                lock.unlock();
            }
            spillInHand(spillerHand, batch);
        }
    }

    private void spillInHand(Hand hand, List<RequestUsage> batch) {
        Map<DropReason, Long> failed = spill == null ? Map.of() : spill.append(batch);
        lock.lock();
        try {
            if (release(hand)) {
                tally.spilled(batch.size(), failed);
            } else if (failed.isEmpty()) {
                // Taken from here when the ledger was closed, and spilled there too: the next process sorts it out.
                LOG.debug("{} records were spilled twice", batch.size());
            }
            work.signal();
        } finally {
            lock.unlock();
        }
    }

    /** Gives the store some of what was spilled, more of it while nothing else is to be written. */
    private void recover() {
        Spill from = spill;
        while (from != null && !isResting() && (!from.isEmpty() || from.oldestIsDone())) {
            List<RequestUsage> batch = from.peek(options.batchSize());
            Taken taken = store.append(batch);
            if (taken.failed()) {
                // All of the batch comes again; the store knows what it has of it.
                markDown();
                return;
            }
            if (!batch.isEmpty()) {
                up();
            }
            settleRecovered(from, taken);
            if (from.oldestIsDone()) {
                from.removeOldest(store.force());
            }
            if (hasOtherWork()) {
                return;
            }
        }
    }

    private void settleRecovered(Spill from, Taken taken) {
        lock.lock();
        try {
            tally.recovered(taken, from.settle());
            progress.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private boolean hasOtherWork() {
        lock.lock();
        try {
            return abandoned || queue.size() > 0;
        } finally {
            lock.unlock();
        }
    }

    // Flushing

    private List<Flush> answerableFlushes() {
        return flushes.answerable(this::isOut, spill);
    }

    /** Whether no request before a position is queued or in hand any more. */
    private boolean isOut(long position) {
        return queue.head() >= position && !writerHand.holdsBefore(position) && !spillerHand.holdsBefore(position);
    }

    private void answerFlushes() {
        List<Flush> answerable;
        lock.lock();
        try {
            answerable = answerableFlushes();
        } finally {
            lock.unlock();
        }
        if (answerable.isEmpty()) {
            return;
        }
        boolean forced = store.force();
        lock.lock();
        try {
            answerable.forEach(flush -> flush.answer(forced));
            progress.signalAll();
        } finally {
            lock.unlock();
        }
    }
}
