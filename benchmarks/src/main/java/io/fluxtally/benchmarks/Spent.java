package io.fluxtally.benchmarks;

import com.sun.management.OperatingSystemMXBean;
import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/**
 * What this process has spent.
 *
 * @param nanos the time that its threads had a processor
 * @param bytes what its threads that live have allocated
 */
public record Spent(long nanos, long bytes) {

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    /** Nothing spent. */
    public static final Spent NOTHING = new Spent(0, 0);

    /** What it has spent until now, the compiler and the collector too. */
    public static Spent now() {
        return new Spent(SYSTEM.getProcessCpuTime(), sum(THREADS.getThreadAllocatedBytes(THREADS.getAllThreadIds())));
    }

    /**
     * What its threads that run Java code, and live, have spent until now: neither the compiler, which is at work by chance, nor the collector,
     * whose work is to be told from the bytes. Finer than that of the whole process, which is counted in hundredths of a second.
     */
    public static Spent ofThreads() {
        long[] threads = THREADS.getAllThreadIds();
        return new Spent(sum(THREADS.getThreadCpuTime(threads)), sum(THREADS.getThreadAllocatedBytes(threads)));
    }

    /** The sum over threads; that of one which has ended meanwhile is negative, and not known. */
    private static long sum(long[] ofThreads) {
        long sum = 0;
        for (long ofThread : ofThreads) {
            sum += Math.max(0, ofThread);
        }
        return sum;
    }

    /** What it has spent since. */
    public Spent since(Spent before) {
        return new Spent(nanos - before.nanos, bytes - before.bytes);
    }

    /** Both together. */
    public Spent plus(Spent other) {
        return new Spent(nanos + other.nanos, bytes + other.bytes);
    }

    /** What each of so many operations has spent. */
    public Spent per(int operations) {
        return new Spent(nanos / operations, bytes / operations);
    }
}
