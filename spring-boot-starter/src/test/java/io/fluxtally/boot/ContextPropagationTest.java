package io.fluxtally.boot;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.boot.web.WebRunsAutoConfiguration;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.LazyInitializationBeanFactoryPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.reactor.ReactorAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Hooks;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

class ContextPropagationTest {

    private final ApplicationContextRunner runner = new ApplicationContextRunner()
            .withConfiguration(AutoConfigurations.of(
                    ContextPropagationAutoConfiguration.class,
                    FluxtallyAutoConfiguration.class,
                    WebRunsAutoConfiguration.class,
                    ReactorAutoConfiguration.class));

    @BeforeEach
    void offBefore() {
        assertThat(hookIsOn()).isFalse();
    }

    @AfterEach
    void offAfter() {
        Hooks.disableAutomaticContextPropagation();
    }

    /** As Reactor tells it: with the hook, a thread local is there on another thread. */
    private static boolean hookIsOn() {
        UsageRuns runs = new UsageRuns(new io.fluxtally.boot.runs.RunHistory(1, 1, java.time.Duration.ofHours(1), 1));
        return foundOnOtherThread(runs);
    }

    private static boolean foundOnOtherThread(UsageRuns runs) {
        return Boolean.TRUE.equals(runs.trackMono(run -> Mono.fromCallable(
                                () -> runs.current().map(UsageRun::id).equals(Optional.of(run.id())))
                        .subscribeOn(Schedulers.boundedElastic()))
                .block());
    }

    @Test
    @DisplayName("the hook of the process is not touched by merely having the starter")
    void notByDefault() {
        runner.run(context -> {
            assertThat(context).hasNotFailed();
            assertThat(foundOnOtherThread(context.getBean(UsageRuns.class))).isFalse();
        });
        runner.withPropertyValues("fluxtally.context-propagation=limited")
                .run(context -> assertThat(foundOnOtherThread(context.getBean(UsageRuns.class)))
                        .isFalse());
        runner.withPropertyValues("fluxtally.context-propagation=auto", "fluxtally.enabled=false")
                .run(context -> assertThat(hookIsOn()).isFalse());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "fluxtally.context-propagation=auto",
                "fluxtally.context-propagation=AUTO",
                "spring.reactor.context-propagation=auto"
            })
    @DisplayName("asked for in either way, the run is on every thread of Reactor, from either side, in a lazy app too")
    void asked(String property) {
        runner.withInitializer(context ->
                        context.addBeanFactoryPostProcessor(new LazyInitializationBeanFactoryPostProcessor()))
                .withPropertyValues(property)
                .run(context -> {
                    UsageRuns runs = context.getBean(UsageRuns.class);
                    assertThat(foundOnOtherThread(runs)).isTrue();
                    boolean fromThread = runs.track(() -> {
                        String id = runs.current().orElseThrow().id();
                        return Boolean.TRUE.equals(Flux.just(1)
                                .publishOn(Schedulers.parallel())
                                .map(n -> runs.current().map(UsageRun::id).equals(Optional.of(id)))
                                .blockLast());
                    });
                    assertThat(fromThread).isTrue();
                });
    }

    @Test
    @DisplayName("without the hook the run is in the Reactor context all the same")
    void limited() {
        runner.run(context -> {
            UsageRuns runs = context.getBean(UsageRuns.class);
            Boolean found = runs.trackMono(run -> Mono.deferContextual(inner -> Mono.fromCallable(
                                    () -> runs.current(inner).map(UsageRun::id).equals(Optional.of(run.id())))
                            .subscribeOn(Schedulers.boundedElastic())))
                    .block();
            assertThat(found).isTrue();
        });
    }
}
