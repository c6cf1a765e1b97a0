package io.fluxtally.graph.scripted;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** Bytes that work on the current thread allocates: the same on a slow machine as on a fast one. */
public final class Allocation {

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private Allocation() {}

    /** The bytes that the given work allocates. */
    public static long of(Runnable work) {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        work.run();
        return THREADS.getCurrentThreadAllocatedBytes() - before;
    }
}
