package io.fluxtally.boot.metrics;

import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.usage.metrics.DroppedFigures;
import io.fluxtally.usage.wire.WireTap;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.SmartInitializingSingleton;

/** Registers the meters of runs and drops once every bean is there, so that no registry is created for them earlier than without them. */
final class MeterRegistration implements SmartInitializingSingleton {

    private final ObjectProvider<MeterRegistry> registries;
    private final ObjectProvider<WireTap> tap;
    private final ObjectProvider<RunHistory> history;

    MeterRegistration(
            ObjectProvider<MeterRegistry> registries, ObjectProvider<WireTap> tap, ObjectProvider<RunHistory> history) {
        this.registries = registries;
        this.tap = tap;
        this.history = history;
    }

    @Override
    public void afterSingletonsInstantiated() {
        MeterRegistry registry = registries.getObject();
        tap.ifUnique(measured -> new DroppedFigures(measured).bindTo(registry));
        history.ifUnique(kept -> new RunMeters(kept).bindTo(registry));
    }
}
