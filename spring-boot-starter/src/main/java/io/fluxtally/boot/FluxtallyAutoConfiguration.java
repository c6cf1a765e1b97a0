package io.fluxtally.boot;

import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.RunListener;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.Drain;
import io.fluxtally.usage.wire.RequestListener;
import io.fluxtally.usage.wire.WireTap;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.ImportRuntimeHints;
import org.springframework.context.annotation.Lazy;

/** Auto-configuration of what every app gets: the recorder, the wire tap, and the runs. */
@AutoConfiguration
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@EnableConfigurationProperties(FluxtallyProperties.class)
@ImportRuntimeHints(FluxtallyRuntimeHints.class)
public class FluxtallyAutoConfiguration {

    /** Books what is requested in this app. */
    @Bean
    @ConditionalOnMissingBean
    UsageRecorder fluxtallyUsageRecorder(AppSinks sinks) {
        UsageRecorder recorder = UsageRecorder.withSinks();
        sinks.listenTo(recorder);
        return recorder;
    }

    /** Not lazy, in no app: it is told when all beans are there. */
    @Bean
    @Lazy(false)
    static AppSinks fluxtallyAppSinks(ListableBeanFactory beans) {
        return new AppSinks(beans);
    }

    @Bean
    @ConditionalOnMissingBean
    WireTap fluxtallyWireTap(
            FluxtallyProperties properties,
            UsageRecorder recorder,
            AppSinks sinks,
            ObjectProvider<RequestListener> listeners) {
        // The recorder may be the app's own.
        sinks.listenTo(recorder);
        FluxtallyProperties.Tap settings = properties.tap();
        WireTap.Builder tap = WireTap.builder().recorder(recorder).maxEventBytes((int)
                settings.maxEventSize().toBytes());
        FluxtallyProperties.Tap.Drain drain = settings.drain();
        if (drain.enabled()) {
            tap.drain(new Drain(drain.time(), drain.size().toBytes(), drain.atOnce()));
        }
        listeners.orderedStream().forEach(tap::listener);
        return tap.build();
    }

    @Bean
    @ConditionalOnMissingBean
    RunHistory fluxtallyRunHistory(FluxtallyProperties properties) {
        FluxtallyProperties.Runs runs = properties.runs();
        return new RunHistory(runs.keep(), runs.maxOpen(), runs.idleTimeout(), runs.maxRequests());
    }

    @Bean
    @ConditionalOnMissingBean
    UsageRuns fluxtallyUsageRuns(RunHistory history, ObjectProvider<RunListener> listeners) {
        return new UsageRuns(history, listeners.orderedStream().toList());
    }
}
