package io.fluxtally.boot.actuate;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.usage.scope.UsageRecorder;
import org.jspecify.annotations.Nullable;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.actuate.autoconfigure.endpoint.condition.ConditionalOnAvailableEndpoint;
import org.springframework.boot.actuate.autoconfigure.endpoint.expose.EndpointExposure;
import org.springframework.boot.actuate.endpoint.web.PathMappedEndpoints;
import org.springframework.boot.actuate.endpoint.web.annotation.WebEndpoint;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.ImportRuntimeHints;
import org.springframework.web.util.HtmlUtils;

/** Auto-configuration of the actuator's endpoint, in a web app that has the actuator and exposes the endpoint. */
@AutoConfiguration(after = FluxtallyAutoConfiguration.class)
@ConditionalOnWebApplication
@ConditionalOnClass({ConditionalOnAvailableEndpoint.class, WebEndpoint.class, HtmlUtils.class})
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
public class FluxtallyEndpointAutoConfiguration {

    /** By itself, because its conditions cannot be asked where there is no actuator. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnAvailableEndpoint(endpoint = FluxtallyEndpoint.class, exposure = EndpointExposure.WEB)
    @EnableConfigurationProperties(FluxtallyEndpointProperties.class)
    @ImportRuntimeHints(Hints.class)
    static class Available {

        @Bean
        @ConditionalOnMissingBean
        FluxtallyEndpoint fluxtallyEndpoint(
                RunHistory history,
                UsageRecorder recorder,
                FluxtallyEndpointProperties properties,
                ObjectProvider<PathMappedEndpoints> paths) {
            // The paths are made of the endpoints, so they are looked up when a page needs them.
            return new FluxtallyEndpoint(history, recorder, properties.maxRuns(), () -> pathOf(paths.getIfAvailable()));
        }

        private static String pathOf(@Nullable PathMappedEndpoints paths) {
            String path = paths == null ? null : paths.getRootPath(FluxtallyEndpoint.ENDPOINT_ID);
            return path == null ? FluxtallyEndpoint.ID : path;
        }
    }

    /** What a native image has to keep for the pages. */
    static final class Hints implements RuntimeHintsRegistrar {

        @Override
        public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
            hints.resources().registerPattern(StyleSheet.RESOURCE);
        }
    }
}
