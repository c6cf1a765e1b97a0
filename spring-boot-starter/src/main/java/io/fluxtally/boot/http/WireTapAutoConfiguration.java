package io.fluxtally.boot.http;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.ConfigurableBeanFactory;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.web.client.RestClientCustomizer;
import org.springframework.boot.web.reactive.function.client.WebClientCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Scope;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;

/**
 * Auto-configuration that taps the HTTP clients which models are built with. Only requests to models are read; the tap comes
 * last, behind whatever retries, so that it sees every try.
 */
@AutoConfiguration(
        after = FluxtallyAutoConfiguration.class,
        // Where Boot has a builder of its own, ours stays away. By name: Boot 4 has it elsewhere.
        afterName = "org.springframework.boot.autoconfigure.web.client.RestClientAutoConfiguration")
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
public class WireTapAutoConfiguration {

    /** Streams. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass({WebClient.class, WebClientCustomizer.class})
    static class Reactive {

        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        WebClientCustomizer fluxtallyWebClientCustomizer(WireTap tap) {
            return builder -> builder.filters(filters -> {
                if (filters.stream().noneMatch(WireTapExchangeFilter.class::isInstance)) {
                    filters.add(new WireTapExchangeFilter(tap));
                }
            });
        }
    }

    /** Blocking calls. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnBooleanProperty(name = "fluxtally.tap.rest-client", matchIfMissing = true)
    @ConditionalOnClass({RestClient.class, RestClientCustomizer.class})
    static class Blocking {

        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        RestClientCustomizer fluxtallyRestClientCustomizer(WireTap tap) {
            return builder -> builder.requestInterceptors(interceptors -> {
                if (interceptors.stream().noneMatch(WireTapInterceptor.class::isInstance)) {
                    interceptors.add(new WireTapInterceptor(tap));
                }
            });
        }
    }

    /**
     * In a reactive web app Boot has no builder for blocking clients, and models make one for themselves, which no customizer
     * reaches.
     */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnBooleanProperty(name = "fluxtally.tap.rest-client", matchIfMissing = true)
    @ConditionalOnClass({RestClient.class, RestClientCustomizer.class})
    @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
    static class BlockingInReactiveApps {

        @Bean
        @Scope(ConfigurableBeanFactory.SCOPE_PROTOTYPE)
        @ConditionalOnMissingBean
        RestClient.Builder fluxtallyRestClientBuilder(ObjectProvider<RestClientCustomizer> customizers) {
            RestClient.Builder builder = RestClient.builder();
            customizers.orderedStream().forEach(customizer -> customizer.customize(builder));
            return builder;
        }
    }
}
