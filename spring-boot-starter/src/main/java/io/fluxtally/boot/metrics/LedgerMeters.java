package io.fluxtally.boot.metrics;

import io.fluxtally.ledger.DropReason;
import io.fluxtally.ledger.LedgerCounters;
import io.fluxtally.ledger.UsageLedger;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/** What a ledger did so far, and what waits: {@code fluxtally.ledger.written}, {@code fluxtally.ledger.queued} and others. */
final class LedgerMeters implements MeterBinder {

    private final UsageLedger ledger;

    LedgerMeters(UsageLedger ledger) {
        this.ledger = ledger;
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        counter(registry, "accepted", "Requests given to the ledger", LedgerCounters::accepted);
        counter(
                registry,
                "leftover",
                "Requests that an earlier process left in the spill files",
                LedgerCounters::leftover);
        counter(registry, "written", "Requests that are in the ledger since", LedgerCounters::written);
        counter(registry, "duplicates", "Requests that were in the ledger already", LedgerCounters::duplicates);
        counter(registry, "retries", "Tries of batches that had failed", LedgerCounters::retried);
        counter(registry, "spilled", "Requests written to the spill files", LedgerCounters::spilled);
        counter(registry, "recovered", "Requests read back from the spill files", LedgerCounters::recovered);
        for (DropReason reason : DropReason.values()) {
            FunctionCounter.builder(
                            "fluxtally.ledger.dropped",
                            ledger,
                            it -> it.counters().dropped(reason))
                    .description("Requests that are not in the ledger")
                    .tag("reason", reason.name().toLowerCase(Locale.ROOT))
                    .register(registry);
        }
        gauge(registry, "queued", "Requests on their way to the ledger", LedgerCounters::queued);
        gauge(registry, "in.spill", "Requests in the spill files", LedgerCounters::inSpill);
    }

    private void counter(
            MeterRegistry registry, String name, String description, ToDoubleFunction<LedgerCounters> figure) {
        FunctionCounter.builder("fluxtally.ledger." + name, ledger, it -> figure.applyAsDouble(it.counters()))
                .description(description)
                .register(registry);
    }

    private void gauge(
            MeterRegistry registry, String name, String description, ToDoubleFunction<LedgerCounters> figure) {
        Gauge.builder("fluxtally.ledger." + name, ledger, it -> figure.applyAsDouble(it.counters()))
                .description(description)
                .register(registry);
    }
}
