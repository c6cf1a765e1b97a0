package io.fluxtally.cli;

import io.fluxtally.ledger.reconcile.ProgressListener;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import java.util.function.LongSupplier;

/** Says how far a command is, a line every few seconds, so that one that is soon done says nothing. */
final class ProgressLines implements ProgressListener {

    private static final long EVERY = Duration.ofSeconds(5).toNanos();

    /** The clock is looked at once for so many lines. */
    private static final int LOOK = 1024;

    private final PrintWriter err;
    private final LongSupplier nanos;
    private long last;
    private long calls;

    ProgressLines(PrintWriter err, LongSupplier nanos) {
        this.err = err;
        this.nanos = nanos;
        this.last = nanos.getAsLong();
    }

    @Override
    public void progress(String what, long done) {
        if (++calls % LOOK != 0) {
            return;
        }
        long now = nanos.getAsLong();
        if (now - last >= EVERY) {
            last = now;
            err.printf(Locale.ROOT, "fluxtally: %,d lines of %s read%n", done, what);
            err.flush();
        }
    }
}
