package io.fluxtally.boot.ledger;

import io.fluxtally.ledger.LedgerFlush;
import io.fluxtally.ledger.UsageLedger;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;

/** Closes the ledger with the app: when the web server has answered its last request, and while the data source is there. */
final class LedgerLifecycle implements SmartLifecycle {

    private static final Logger LOG = LoggerFactory.getLogger(LedgerLifecycle.class);

    /** Below the phases of Boot's web servers, which stop before. */
    private static final int PHASE = DEFAULT_PHASE - 4096;

    private final UsageLedger ledger;
    private final Duration timeout;
    private volatile boolean running;

    LedgerLifecycle(UsageLedger ledger, Duration timeout) {
        this.ledger = ledger;
        this.timeout = timeout;
    }

    @Override
    public void start() {
        running = true;
    }

    @Override
    public void stop() {
        running = false;
        LedgerFlush rest = ledger.close(timeout);
        if (!rest.isComplete()) {
            LOG.warn(
                    "the ledger is closed, but not all is in it: {} requests are in the spill files, {} were dropped, {} were still being written{}",
                    rest.inSpill(),
                    rest.dropped(),
                    rest.waiting(),
                    rest.forced() ? "" : ", and what is in it may not outlast a crash of the machine");
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    @Override
    public int getPhase() {
        return PHASE;
    }
}
