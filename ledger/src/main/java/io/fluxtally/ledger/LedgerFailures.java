package io.fluxtally.ledger;

import io.fluxtally.usage.scope.MeasuringFailures;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Where failures on a ledger's own threads end. These go on after whatever happens, also where memory has run out. */
final class LedgerFailures {

    private static final Logger LOG = LoggerFactory.getLogger(LedgerFailures.class);

    private LedgerFailures() {}

    static void report(String part, Throwable error) {
        try {
            MeasuringFailures.report(part, error);
        } catch (VirtualMachineError outOfMemory) {
            LOG.warn("{} failed: {}", part, outOfMemory.getClass().getName());
        }
    }
}
