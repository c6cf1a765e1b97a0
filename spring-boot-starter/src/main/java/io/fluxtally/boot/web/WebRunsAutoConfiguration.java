package io.fluxtally.boot.web;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.runs.UsageRuns;
import jakarta.servlet.Filter;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.server.WebFilter;

/** Auto-configuration that makes each HTTP request which the app answers a run, if the app asks for it. */
@AutoConfiguration(after = FluxtallyAutoConfiguration.class)
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@EnableConfigurationProperties(WebRunsProperties.class)
public class WebRunsAutoConfiguration {

    /** Behind the filter of Boot's that opens the observation of the request, and before any of the app's. */
    static final int ORDER = Ordered.HIGHEST_PRECEDENCE + 10;

    /** Servlets. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnBooleanProperty("fluxtally.web.run-per-request")
    @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.SERVLET)
    @ConditionalOnClass({Filter.class, OncePerRequestFilter.class})
    static class Servlets {

        @Bean
        @ConditionalOnMissingBean(name = "fluxtallyRunPerRequestFilter")
        FilterRegistrationBean<RunPerRequestFilter> fluxtallyRunPerRequestFilter(UsageRuns runs) {
            FilterRegistrationBean<RunPerRequestFilter> filter =
                    new FilterRegistrationBean<>(new RunPerRequestFilter(runs));
            filter.setOrder(ORDER);
            return filter;
        }
    }

    /** WebFlux. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnBooleanProperty("fluxtally.web.run-per-request")
    @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
    @ConditionalOnClass(WebFilter.class)
    static class Reactive {

        @Bean
        @Order(ORDER)
        @ConditionalOnMissingBean(name = "fluxtallyRunPerRequestWebFilter")
        WebFilter fluxtallyRunPerRequestWebFilter(UsageRuns runs) {
            return (exchange, chain) -> runs.trackMono(run -> chain.filter(exchange));
        }
    }
}
