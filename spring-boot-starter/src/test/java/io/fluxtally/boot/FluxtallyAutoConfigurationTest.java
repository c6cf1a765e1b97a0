package io.fluxtally.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageSink;
import io.fluxtally.usage.wire.WireTap;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.ai.model.tool.internal.ToolCallReactiveContextHolder;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.predicate.RuntimeHintsPredicates;
import org.springframework.boot.LazyInitializationBeanFactoryPostProcessor;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@DisplayName("What every app gets")
@ExtendWith(OutputCaptureExtension.class)
class FluxtallyAutoConfigurationTest {

    private final ApplicationContextRunner app =
            new ApplicationContextRunner().withConfiguration(AutoConfigurations.of(FluxtallyAutoConfiguration.class));

    private static RequestUsage request(String id, String runId) {
        return RequestUsage.builder(id, Instant.EPOCH).runId(runId).build();
    }

    @Test
    @DisplayName("serves the sinks of an app with a recorder and a tap of its own")
    void ownBoth() {
        UsageRecorder own = UsageRecorder.withSinks();
        List<String> heard = new ArrayList<>();

        app.withBean(UsageRecorder.class, () -> own)
                .withBean(WireTap.class, () -> WireTap.builder().recorder(own).build())
                .withBean("sink", UsageSink.class, () -> request -> heard.add(request.requestId()))
                .run(context -> {
                    own.book(null, request("r", null));

                    assertThat(heard).containsExactly("r");
                });
    }

    @Test
    @DisplayName("is there once for a parent and once for its child: each sink hears a request once")
    void parentAndChild() {
        List<String> parentHeard = new ArrayList<>();
        List<String> childHeard = new ArrayList<>();

        app.withBean("parentSink", UsageSink.class, () -> request -> parentHeard.add(request.requestId()))
                .run(parent -> app.withParent(parent)
                        .withBean("childSink", UsageSink.class, () -> request -> childHeard.add(request.requestId()))
                        .run(child -> {
                            UsageRecorder.shared().book(null, request("shared", null));
                            child.getBean(UsageRecorder.class).book(null, request("app", null));

                            assertThat(parentHeard).containsExactly("shared", "app");
                            assertThat(childHeard).containsExactly("shared", "app");
                        }));
    }

    @Test
    @DisplayName("is a recorder, a tap and runs")
    void beans() {
        app.run(context -> assertThat(context)
                .hasSingleBean(UsageRecorder.class)
                .hasSingleBean(WireTap.class)
                .hasSingleBean(UsageRuns.class)
                .hasSingleBean(RunHistory.class));
    }

    @Test
    @DisplayName("gives way to what the app has itself")
    void own() {
        UsageRecorder own = UsageRecorder.withSinks();

        app.withBean(UsageRecorder.class, () -> own)
                .run(context -> assertThat(context.getBean(UsageRecorder.class)).isSameAs(own));
    }

    @Test
    @DisplayName("is nothing where it is switched off, but runs that stay empty, for the code that has them injected")
    void disabled() {
        app.withConfiguration(AutoConfigurations.of(DisabledAutoConfiguration.class))
                .withPropertyValues("fluxtally.enabled=false")
                .run(context -> {
                    assertThat(context)
                            .doesNotHaveBean(UsageRecorder.class)
                            .doesNotHaveBean(WireTap.class)
                            .doesNotHaveBean(RunHistory.class);
                    UsageRuns runs = context.getBean(UsageRuns.class);
                    assertThat(runs.track(() ->
                                    runs.current().orElseThrow().getTokenUsage().totalTokens()))
                            .isZero();
                });
    }

    @Test
    @DisplayName("hands every request to every sink, whoever books it, for as long as the app is there")
    void sinks() {
        List<String> heard = new ArrayList<>();
        UsageSink sink = request -> heard.add(request.requestId());

        app.withBean(UsageSink.class, () -> sink).run(context -> {
            try (UsageRun run = context.getBean(UsageRuns.class).open("run")) {
                context.getBean(UsageRecorder.class).book(run.scope(), request("app", "run"));
                UsageRecorder.shared().book(run.scope(), request("shared", "run"));

                assertThat(heard).containsExactly("app", "shared");
                assertThat(context.getBean(RunHistory.class)
                                .run("run")
                                .orElseThrow()
                                .sum()
                                .requests())
                        .isEqualTo(2);
                assertThat(run.usage().sum().requests()).isEqualTo(2);
            }
        });
        UsageRecorder.shared().book(null, request("later", null));

        assertThat(heard).doesNotContain("later");
    }

    /** A sink that asks a model, which is tapped; and what it heard. */
    record AskingSink(WireTap model, List<String> heard) implements UsageSink {

        @Override
        public void accept(RequestUsage request) {
            heard.add(request.requestId());
        }
    }

    @Configuration
    static class AskingSinks {

        @Bean
        AskingSink asking(WireTap model) {
            return new AskingSink(model, new ArrayList<>());
        }
    }

    /** Asks while the app starts. */
    record EarlyBird(UsageRecorder recorder) {

        EarlyBird {
            recorder.book(null, request("early", null));
        }
    }

    @Test
    @DisplayName("hands on what was asked while the app started, to sinks that need a model themselves")
    void early() {
        app.withBean(EarlyBird.class).withUserConfiguration(AskingSinks.class).run(context -> {
            context.getBean(UsageRecorder.class).book(null, request("later", null));

            assertThat(context.getBean(AskingSink.class).heard()).containsExactly("early", "later");
        });
    }

    @Test
    @DisplayName("finds its sinks in an app whose beans are lazy, too")
    void lazy() {
        List<String> heard = new ArrayList<>();

        app.withInitializer(context ->
                        context.addBeanFactoryPostProcessor(new LazyInitializationBeanFactoryPostProcessor()))
                .withBean(UsageSink.class, () -> request -> heard.add(request.requestId()))
                .run(context -> {
                    context.getBean(UsageRecorder.class).book(null, request("r", null));

                    assertThat(heard).containsExactly("r");
                });
    }

    @Test
    @DisplayName("keeps a sink that throws from nobody but itself (T22)")
    void throwing() {
        List<String> heard = new ArrayList<>();

        app.withBean("a", UsageSink.class, () -> request -> {
                    throw new IllegalStateException("broken");
                })
                .withBean("b", UsageSink.class, () -> request -> heard.add(request.requestId()))
                .run(context -> {
                    context.getBean(UsageRecorder.class).book(null, request("r", null));

                    assertThat(heard).containsExactly("r");
                });
    }

    @Test
    @DisplayName("has the settings that it was given")
    void settings() {
        app.withPropertyValues(
                        "fluxtally.tap.max-event-size=8KB",
                        "fluxtally.tap.drain.enabled=true",
                        "fluxtally.tap.drain.time=5s",
                        "fluxtally.tap.drain.size=64KB",
                        "fluxtally.tap.drain.at-once=2",
                        "fluxtally.runs.keep=1")
                .run(context -> {
                    assertThat(context.getBean(WireTap.class).drain()).satisfies(drain -> {
                        assertThat(drain.time()).isEqualTo(Duration.ofSeconds(5));
                        assertThat(drain.bytes()).isEqualTo(64 * 1024);
                        assertThat(drain.atOnce()).isEqualTo(2);
                    });
                    UsageRuns runs = context.getBean(UsageRuns.class);
                    for (String id : List.of("a", "b")) {
                        try (UsageRun run = runs.open(id)) {
                            context.getBean(UsageRecorder.class).book(run.scope(), request(id, id));
                        }
                    }
                    assertThat(context.getBean(RunHistory.class).runs())
                            .extracting(run -> run.runId())
                            .containsExactly("b");
                });
    }

    @Configuration
    @ImportAutoConfiguration(FluxtallyAutoConfiguration.class)
    static class App {}

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    fluxtally.runs.keep=-1             | fluxtally.runs.keep must be 0 or more, but is -1.
                    fluxtally.runs.max-open=0          | fluxtally.runs.max-open must be 1 or more, but is 0.
                    fluxtally.runs.idle-timeout=0s     | fluxtally.runs.idle-timeout must be positive, but is PT0S.
                    fluxtally.runs.max-requests=-5     | fluxtally.runs.max-requests must be 0 or more, but is -5.
                    fluxtally.tap.max-event-size=1000B | fluxtally.tap.max-event-size must be 1KB to 2047MB, but is 1000B.
                    fluxtally.tap.drain.time=-1s       | fluxtally.tap.drain.time must be positive, but is PT-1S.
                    fluxtally.tap.drain.size=0         | fluxtally.tap.drain.size must be 1 or more, but is 0.
                    fluxtally.tap.drain.at-once=0      | fluxtally.tap.drain.at-once must be 1 or more, but is 0.
                    """)
    @DisplayName("does not start with a setting that cannot be, and says which, why and what it is")
    void invalid(String setting, String message, CapturedOutput output) {
        SpringApplication application = new SpringApplication(App.class);
        application.setWebApplicationType(WebApplicationType.NONE);

        assertThat(catchThrowable(() -> application.run("--" + setting))).isNotNull();

        assertThat(output).contains("APPLICATION FAILED TO START", message, "or remove it to have the default");
    }

    @Test
    @DisplayName("has a description of every setting, for the editor and on its page")
    void metadata() throws IOException {
        String page = Files.readString(Path.of("README.md")) + Files.readString(Path.of("../docs/ledger.md"));
        try (InputStream json = Objects.requireNonNull(
                FluxtallyProperties.class.getResourceAsStream("/META-INF/spring-configuration-metadata.json"))) {
            JsonNode properties = new ObjectMapper().readTree(json).path("properties");

            assertThat(properties).isNotEmpty().allSatisfy(property -> {
                assertThat(property.path("name").asText()).containsPattern("^(management\\.endpoint\\.)?fluxtally\\.");
                String name = property.path("name").asText();
                if (name.startsWith("fluxtally.")) {
                    // A row may name several of a group.
                    assertThat(page).containsAnyOf("`" + name + "`", "`" + name.substring(name.lastIndexOf('.')) + "`");
                }
                assertThat(property.path("description").asText())
                        .as(property.path("name").asText())
                        .isNotBlank();
            });
        }
    }

    @Test
    @DisplayName("finds in a native image what it looks up by name")
    void nativeImage() throws NoSuchMethodException {
        RuntimeHints hints = new RuntimeHints();

        new FluxtallyRuntimeHints().registerHints(hints, getClass().getClassLoader());

        assertThat(RuntimeHintsPredicates.reflection()
                        .onMethod(ToolCallReactiveContextHolder.class.getMethod("getContext"))
                        .invoke())
                .accepts(hints);
    }
}
