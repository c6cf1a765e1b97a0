package io.fluxtally.boot.metrics;

import io.fluxtally.ledger.UsageLedger;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.SmartInitializingSingleton;

/** Registers the meters of the ledger once every bean is there, so that no registry is created for them earlier than without them. */
final class LedgerMeterRegistration implements SmartInitializingSingleton {

    private final ObjectProvider<MeterRegistry> registries;
    private final ObjectProvider<UsageLedger> ledger;

    LedgerMeterRegistration(ObjectProvider<MeterRegistry> registries, ObjectProvider<UsageLedger> ledger) {
        this.registries = registries;
        this.ledger = ledger;
    }

    @Override
    public void afterSingletonsInstantiated() {
        MeterRegistry registry = registries.getObject();
        ledger.ifUnique(kept -> new LedgerMeters(kept).bindTo(registry));
    }
}
