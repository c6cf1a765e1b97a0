package io.fluxtally.boot;

import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageSink;
import io.fluxtally.usage.wire.Drain;
import io.fluxtally.usage.wire.RequestListener;
import io.fluxtally.usage.wire.WireTap;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.ImportRuntimeHints;
import reactor.core.Disposable;
import reactor.core.Disposables;

/** Auto-configuration of what every app gets: the recorder, the wire tap, and the runs. */
@AutoConfiguration
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@EnableConfigurationProperties(FluxtallyProperties.class)
@ImportRuntimeHints(FluxtallyRuntimeHints.class)
public class FluxtallyAutoConfiguration {

    /** Books what is requested in this app, and hands it to every {@link UsageSink} there is. */
    @Bean
    @ConditionalOnMissingBean
    public UsageRecorder fluxtallyUsageRecorder(ObjectProvider<UsageSink> sinks) {
        return UsageRecorder.withSinks(sinks.orderedStream().toArray(UsageSink[]::new));
    }

    /** Hands on what is booked where nobody names a recorder, such as by {@code UsageChatModel.of(model)}. */
    @Bean
    SharedRecorderSinks fluxtallySharedRecorderSinks(ObjectProvider<UsageSink> sinks, UsageRecorder recorder) {
        return new SharedRecorderSinks(sinks, recorder);
    }

    @Bean
    @ConditionalOnMissingBean
    WireTap fluxtallyWireTap(
            FluxtallyProperties properties, UsageRecorder recorder, ObjectProvider<RequestListener> listener) {
        FluxtallyProperties.Tap settings = properties.tap();
        WireTap.Builder tap = WireTap.builder().recorder(recorder).maxEventBytes((int)
                settings.maxEventSize().toBytes());
        FluxtallyProperties.Tap.Drain drain = settings.drain();
        if (drain.enabled()) {
            tap.drain(new Drain(drain.time(), drain.size().toBytes(), drain.atOnce()));
        }
        listener.ifUnique(tap::listener);
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
    UsageRuns fluxtallyUsageRuns(RunHistory history) {
        return new UsageRuns(history);
    }

    /** The app's sinks, at the recorder of the process for as long as the app is there. */
    static final class SharedRecorderSinks implements DisposableBean {

        private final Disposable added;

        SharedRecorderSinks(ObjectProvider<UsageSink> sinks, UsageRecorder recorder) {
            Disposable.Composite all = Disposables.composite();
            if (recorder != UsageRecorder.shared()) {
                sinks.orderedStream()
                        .forEach(sink -> all.add(UsageRecorder.shared().addSink(sink)));
            }
            added = all;
        }

        @Override
        public void destroy() {
            added.dispose();
        }
    }
}
