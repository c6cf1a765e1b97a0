package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageSink;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
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

    private static final Taken NOTHING = new Taken(0, 0, 0, false);

    private final LedgerStore store;
    private final LedgerOptions options;
    private final @Nullable Spill spill;
    private final Thread writer;

    /** Held for moments only, never over I/O: the threads that book take it. */
    private final ReentrantLock lock = new ReentrantLock();

    private final Condition work = lock.newCondition();
    private final Condition highWater = lock.newCondition();
    private final Condition room = lock.newCondition();
    private final Condition progress = lock.newCondition();

    // All of these are guarded by the lock. Positions count requests since the ledger was opened.
    private final @Nullable RequestUsage[] ring;
    private long head;
    private long tail;
    private final Hand writerHand = new Hand();
    private final Hand spillerHand = new Hand();
    private final Hand restHand = new Hand();
    private final List<Flush> flushes = new ArrayList<>();
    private boolean idle;
    private boolean closing;
    private boolean abandoned;
    private boolean givenUp;
    private boolean finished;
    private boolean flushedAtEnd;
    private long accepted;
    private long written;
    private long duplicates;
    private long retried;
    private final Map<DropReason, Long> dropped = new EnumMap<>(DropReason.class);

    /** Requests that were spilled, or read back and settled, as far as they are in the other counters. */
    private long spilled;

    private long recovered;

    /** Whether the store failed last, and when it is to be tried again. The writer's alone, but for {@link #flush}. */
    private boolean down;

    private long nextTry;
    private long backOff;

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

    /** Somebody who waits for all requests up to a position to be in the store. */
    private static final class Flush {

        final long target;

        /** Up to where the spill must be settled; known when nothing before the target is on its way there any more. */
        long spillMark = -1;

        boolean done;
        boolean forced;

        Flush(long target) {
            this.target = target;
        }
    }

    private UsageLedger(LedgerStore store, LedgerOptions options) {
        this.store = store;
        this.options = options;
        this.ring = new RequestUsage[options.capacity()];
        this.spill =
                options.spillDirectory() == null ? null : new Spill(options.spillDirectory(), options.maxSpillBytes());
        this.backOff = options.firstBackOff().toNanos();
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
            if (isFull() && !closing && options.overflow() == OverflowPolicy.BLOCK) {
                waitForRoom();
            }
            accepted++;
            if (request == null) {
                drop(DropReason.REFUSED, 1);
            } else if (closing) {
                drop(DropReason.CLOSED, 1);
            } else if (isFull()) {
                drop(DropReason.QUEUE_FULL, 1);
            } else {
                put(request);
            }
        } finally {
            lock.unlock();
        }
    }

    private void put(RequestUsage request) {
        ring[(int) (tail % ring.length)] = request;
        tail++;
        int size = size();
        if (idle && (size == 1 || size >= options.batchSize())) {
            work.signal();
        }
        if (size == highWaterMark()) {
            highWater.signal();
        }
    }

    private int size() {
        return (int) (tail - head);
    }

    private boolean isFull() {
        return size() == ring.length;
    }

    /** Where a full queue is near enough for the second thread to help. */
    private int highWaterMark() {
        return ring.length - ring.length / 4;
    }

    private void waitForRoom() {
        long left = options.blockLimit().toNanos();
        try {
            while (isFull() && !closing && left > 0) {
                left = room.awaitNanos(left);
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void drop(DropReason reason, long count) {
        dropped.merge(reason, count, Long::sum);
    }

    /** What the ledger did so far. */
    public LedgerCounters counters() {
        lock.lock();
        try {
            return new LedgerCounters(
                    accepted,
                    spill == null ? 0 : spill.leftover(),
                    written,
                    duplicates,
                    retried,
                    spilled,
                    recovered,
                    size() + writerHand.size() + spillerHand.size() + restHand.size(),
                    dropped);
        } finally {
            lock.unlock();
        }
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
            Flush flush = new Flush(tail);
            if (!isOver()) {
                flushes.add(flush);
                // A store that has failed is asked at once: who flushes does not want to wait for the time that is
                // left.
                nextTry = System.nanoTime();
                work.signal();
            }
            await(() -> flush.done || isOver(), timeout);
            flushes.remove(flush);
            return flush.done
                    ? new LedgerFlush(0, 0, lost(), flush.forced)
                    : result(flush.target, finished && flushedAtEnd);
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
        long waiting = Math.max(0, target - head)
                + restHand.size()
                + (writerHand.holdsBefore(target) ? writerHand.size() : 0)
                + (spillerHand.holdsBefore(target) ? spillerHand.size() : 0);
        // What was just spilled may be read back before it is counted as spilled.
        long inSpill = spill == null ? 0 : Math.max(0, spill.leftover() + spilled - recovered);
        return new LedgerFlush(waiting, inSpill, lost(), forced);
    }

    private long lost() {
        return dropped.values().stream().mapToLong(Long::longValue).sum();
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
                nextTry = System.nanoTime();
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
                    settleSpilled(rest.size(), failed);
                }
                givenUp = true;
            }
            return result(tail, flushedAtEnd);
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
        rest.addAll(take(Integer.MAX_VALUE));
        rest.removeIf(this::isRefused);
        restHand.batch = rest;
        return rest;
    }

    private Map<DropReason, Long> spillRest(List<RequestUsage> rest) {
        if (spill == null) {
            return Map.of(DropReason.CLOSED, (long) rest.size());
        }
        Map<DropReason, Long> failed = spillParts(rest, spill::appendNow);
        spill.closeNow();
        return failed;
    }

    private boolean isRefused(RequestUsage request) {
        if (LedgerRecord.isStorable(request)) {
            return false;
        }
        drop(DropReason.REFUSED, 1);
        return true;
    }

    private List<RequestUsage> take(int max) {
        int count = Math.min(size(), max);
        List<RequestUsage> batch = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int at = (int) (head % ring.length);
            RequestUsage request = ring[at];
            ring[at] = null;
            head++;
            if (request != null) {
                batch.add(request);
            }
        }
        if (count > 0) {
            room.signalAll();
        }
        return batch;
    }

    private List<RequestUsage> takeIn(Hand hand) {
        hand.start = head;
        List<RequestUsage> batch = take(options.batchSize());
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
            failed("writing the ledger", unexpected);
            dropInHand();
        }
        return true;
    }

    private void dropInHand() {
        lock.lock();
        try {
            int size = writerHand.size();
            release(writerHand);
            drop(DropReason.STORE_FAILED, size);
        } finally {
            lock.unlock();
        }
    }

    private void end() {
        boolean forced = force();
        try {
            store.close();
        } catch (Throwable error) {
            forced = false;
            failed("closing the ledger", error);
        }
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
                int size = size();
                if (size >= options.batchSize()
                        || size > 0 && (closing || !flushes.isEmpty() || lingers && now - lingerUntil >= 0)) {
                    return takeIn(writerHand);
                }
                if (isRecoveryDue(now) || hasAnswerableFlush()) {
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
                    wait = Math.min(wait, nextTry - now);
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
        return spill != null && !spill.isEmpty() && (!down || now - nextTry >= 0);
    }

    /** What became of records that the store was given, in their order: those after the ones that it failed at are not there. */
    private record Taken(int passed, int added, int refused, boolean failed) {

        int settled() {
            return passed + refused;
        }
    }

    /** Gives records to the store; one by one if it refuses any of them, so that it takes those beside it. */
    private Taken give(List<RequestUsage> batch) {
        try {
            return new Taken(batch.size(), store.append(batch), 0, false);
        } catch (Throwable error) {
            failed("writing the ledger", error);
            return isRefusal(error) ? giveOneByOne(batch) : new Taken(0, 0, 0, true);
        }
    }

    private Taken giveOneByOne(List<RequestUsage> batch) {
        int passed = 0;
        int added = 0;
        int refused = 0;
        for (int i = 0; i < batch.size(); i++) {
            try {
                added += store.append(batch.subList(i, i + 1));
                passed++;
            } catch (Throwable error) {
                if (!isRefusal(error)) {
                    failed("writing the ledger", error);
                    return new Taken(passed, added, refused, true);
                }
                refused++;
            }
        }
        return new Taken(passed, added, refused, false);
    }

    private static boolean isRefusal(Throwable error) {
        return error instanceof LedgerException refusal && refusal.isRefused();
    }

    private void append(List<RequestUsage> batch) {
        List<RequestUsage> left = batch;
        for (int tries = 0; ; tries++) {
            if (spill != null && isDown()) {
                spillInHand(writerHand, left);
                return;
            }
            Taken taken = give(left);
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
            if (tries >= options.retries() || down || abandoned) {
                return false;
            }
            long pause = pauseAfter(tries);
            nextTry = System.nanoTime() + pause;
            for (long left = pause; left > 0 && !abandoned; left = nextTry - System.nanoTime()) {
                awaitWork(left);
            }
            if (abandoned) {
                return false;
            }
            retried++;
            return true;
        } finally {
            lock.unlock();
        }
    }

    private long pauseAfter(int tries) {
        long max = options.maxBackOff().toNanos();
        long first = options.firstBackOff().toNanos();
        return first > max >> Math.min(tries, 40) ? max : first << tries;
    }

    private boolean isDown() {
        lock.lock();
        try {
            return down && System.nanoTime() - nextTry < 0;
        } finally {
            lock.unlock();
        }
    }

    private void markDown() {
        lock.lock();
        try {
            if (down) {
                backOff =
                        Math.min(Math.max(backOff * 2, 1), options.maxBackOff().toNanos());
            } else {
                down = true;
                backOff = Math.min(
                        options.firstBackOff().toNanos(), options.maxBackOff().toNanos());
                LOG.warn("The ledger's store takes no records; they are spilled to {}", options.spillDirectory());
            }
            nextTry = System.nanoTime() + backOff;
        } finally {
            lock.unlock();
        }
    }

    private void up() {
        lock.lock();
        try {
            if (down) {
                down = false;
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
            count(taken);
            writerHand.batch = left.isEmpty() ? null : left;
            return !left.isEmpty();
        } finally {
            lock.unlock();
        }
    }

    private void count(Taken taken) {
        written += taken.added();
        duplicates += taken.passed() - taken.added();
        drop(DropReason.REFUSED, taken.refused());
    }

    // What is spilled, and read back

    private void spillOverflow() {
        while (true) {
            List<RequestUsage> batch;
            lock.lock();
            try {
                while (size() < highWaterMark() && !closing) {
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
        Map<DropReason, Long> failed = spill == null ? Map.of() : spillParts(batch, spill::append);
        lock.lock();
        try {
            if (release(hand)) {
                settleSpilled(batch.size(), failed);
            } else if (failed.isEmpty()) {
                // Taken from here when the ledger was closed, and spilled there too: the next process sorts it out.
                LOG.debug("{} records were spilled twice", batch.size());
            }
            work.signal();
        } finally {
            lock.unlock();
        }
    }

    /** Spills records in parts that a file has room for, and returns how many were not spilled, and why. */
    private static Map<DropReason, Long> spillParts(
            List<RequestUsage> records, Function<List<RequestUsage>, @Nullable DropReason> append) {
        Map<DropReason, Long> failed = new EnumMap<>(DropReason.class);
        for (int from = 0; from < records.size(); from += Spill.RECORDS_PER_FILE) {
            List<RequestUsage> part =
                    records.subList(from, Math.min(from + Spill.RECORDS_PER_FILE, records.size()));
            DropReason failure;
            try {
                failure = append.apply(part);
            } catch (Throwable error) {
                failed("spilling", error);
                failure = DropReason.SPILL_FAILED;
            }
            if (failure != null) {
                failed.merge(failure, (long) part.size(), Long::sum);
            }
        }
        return failed;
    }

    private void settleSpilled(int size, Map<DropReason, Long> failed) {
        spilled += size - failed.values().stream().mapToLong(Long::longValue).sum();
        failed.forEach(this::drop);
    }

    /** Gives the store some of what was spilled, more of it while nothing else is to be written. */
    private void recover() {
        Spill from = spill;
        while (from != null && !isDown() && (!from.isEmpty() || from.oldestIsDone())) {
            List<RequestUsage> batch = from.peek(options.batchSize());
            Taken taken = batch.isEmpty() ? NOTHING : give(batch);
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
                from.removeOldest(force());
            }
            if (hasOtherWork()) {
                return;
            }
        }
    }

    private void settleRecovered(Spill from, Taken taken) {
        lock.lock();
        try {
            int junk = from.settle();
            recovered += taken.settled() + junk;
            count(taken);
            drop(DropReason.SPILL_FAILED, junk);
            progress.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private boolean hasOtherWork() {
        lock.lock();
        try {
            return abandoned || size() > 0;
        } finally {
            lock.unlock();
        }
    }

    // Flushing

    private boolean hasAnswerableFlush() {
        for (Flush flush : flushes) {
            if (isAnswerable(flush)) {
                return true;
            }
        }
        return false;
    }

    private boolean isAnswerable(Flush flush) {
        if (flush.done
                || head < flush.target
                || writerHand.holdsBefore(flush.target)
                || spillerHand.holdsBefore(flush.target)) {
            return false;
        }
        if (spill == null) {
            return true;
        }
        if (flush.spillMark < 0) {
            flush.spillMark = spill.appended();
        }
        return spill.takenBack() >= flush.spillMark;
    }

    private void answerFlushes() {
        List<Flush> answerable = new ArrayList<>();
        lock.lock();
        try {
            for (Flush flush : flushes) {
                if (isAnswerable(flush)) {
                    answerable.add(flush);
                }
            }
        } finally {
            lock.unlock();
        }
        if (answerable.isEmpty()) {
            return;
        }
        boolean forced = force();
        lock.lock();
        try {
            for (Flush flush : answerable) {
                flush.forced = forced;
                flush.done = true;
            }
            progress.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private boolean force() {
        try {
            store.force();
            return true;
        } catch (Throwable error) {
            failed("forcing the ledger", error);
            return false;
        }
    }

    /** Measuring goes on after whatever happens on the threads of the ledger. */
    private static void failed(String part, Throwable error) {
        try {
            MeasuringFailures.report(part, error);
        } catch (VirtualMachineError outOfMemory) {
            LOG.warn("{} failed: {}", part, outOfMemory.getClass().getName());
        }
    }
}
