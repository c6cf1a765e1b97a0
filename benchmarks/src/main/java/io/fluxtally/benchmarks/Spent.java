package io.fluxtally.benchmarks;

import com.sun.management.OperatingSystemMXBean;
import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/**
 * What this process has spent.
 *
 * @param nanos the time that all its threads had a processor, the compiler's and the collector's too
 * @param bytes what its threads that live have allocated
 */
public record Spent(long nanos, long bytes) {

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    /** What it has spent until now. */
    public static Spent now() {
        long bytes = 0;
        for (long allocated : THREADS.getThreadAllocatedBytes(THREADS.getAllThreadIds())) {
            bytes += Math.max(0, allocated);
        }
        return new Spent(SYSTEM.getProcessCpuTime(), bytes);
    }

    /** What it has spent since. */
    public Spent since(Spent before) {
        return new Spent(nanos - before.nanos, bytes - before.bytes);
    }
}
