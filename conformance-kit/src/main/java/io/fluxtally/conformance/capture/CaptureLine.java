package io.fluxtally.conformance.capture;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The one thread on which all is read, and the line before it. Threads of the traffic put work into the line and never wait;
 * what would make it longer than it may be is refused. Safe for use by any number of threads.
 */
final class CaptureLine {

    private final long capacity;
    private final AtomicLong bytes = new AtomicLong();
    private final ThreadPoolExecutor thread;

    CaptureLine(long capacity) {
        this.capacity = capacity;
        this.thread = new ThreadPoolExecutor(1, 1, 0, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), work -> {
            Thread made = new Thread(work, "fluxtally-capture");
            made.setDaemon(true);
            return made;
        });
    }

    /** Reserves room for so many bytes, if there is room. Who has it either does work for as many, or gives it back. */
    boolean reserve(long size) {
        if (bytes.addAndGet(size) > capacity) {
            bytes.addAndGet(-size);
            return false;
        }
        return true;
    }

    /** Gives room back. */
    void free(long size) {
        bytes.addAndGet(-size);
    }

    /**
     * Puts work into the line, in the order in which it comes.
     *
     * @throws java.util.concurrent.RejectedExecutionException if the line is closed
     */
    void put(Runnable work) {
        thread.execute(work);
    }

    /** Closes the line and waits until it is empty; returns whether it is. */
    boolean close(long patienceSeconds) {
        thread.shutdown();
        try {
            if (thread.awaitTermination(patienceSeconds, TimeUnit.SECONDS)) {
                return true;
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        thread.shutdownNow();
        return false;
    }
}
