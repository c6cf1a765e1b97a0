package io.fluxtally.boot.actuate;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.fluxtally.boot.runs.UsageRun;
import java.net.http.HttpResponse;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.jackson.Jackson2ObjectMapperBuilderCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The endpoint of a running app, asked over HTTP. */
class EndpointOverHttpTest {

    private static final String JSON = "application/json";
    private static final String BROWSER =
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

    private static SpendingApp app(WebApplicationType type, Class<?> configuration, String... properties) {
        return SpendingApp.start(type, SpendingApp.responses("openai-tool-loop-stream"), configuration, properties);
    }

    /** Apps that need nothing of their own, by what they run on. */
    private static final Map<WebApplicationType, SpendingApp> PLAIN = new EnumMap<>(WebApplicationType.class);

    private static SpendingApp plain(WebApplicationType type) {
        return PLAIN.computeIfAbsent(type, key -> app(key, Plain.class));
    }

    @AfterAll
    static void close() {
        PLAIN.values().forEach(SpendingApp::close);
    }

    private static void spend(SpendingApp app, String runId) {
        try (UsageRun run = app.runs().open(runId)) {
            app.ask(run.scope().withAgent("reporter"));
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = WebApplicationType.class,
            names = {"SERVLET", "REACTIVE"})
    @DisplayName("it says what a run was billed")
    void bill(WebApplicationType type) throws Exception {
        SpendingApp app = plain(type);
        spend(app, "weather 1");

        HttpResponse<String> answer = app.get(app.origin() + "/actuator/fluxtally/weather%201", JSON);
        JsonNode run = new ObjectMapper().readTree(answer.body());

        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(answer.headers().firstValue("content-type").orElse("")).startsWith("application/json");
        assertThat(EndpointSchema.errors("run", answer.body())).isEmpty();
        assertThat(run.at("/run_id").textValue()).isEqualTo("weather 1");
        assertThat(run.at("/complete").booleanValue()).isTrue();
        assertThat(run.at("/sum/usage").toString())
                .isEqualTo("{\"input_tokens\":460,\"output_tokens\":26,\"total_tokens\":486,"
                        + "\"cache_read_input_tokens\":192}");
        assertThat(run.at("/by_agent/reporter/requests").intValue()).isEqualTo(2);
        assertThat(run.at("/agents/0/nodes/0/calls/0/requests").findValuesAsText("input_tokens"))
                .containsExactly("200", "260");

        JsonNode runs = new ObjectMapper()
                .readTree(app.get(app.origin() + "/actuator/fluxtally", JSON).body());
        assertThat(runs.at("/runs/0/run_id").textValue()).isEqualTo("weather 1");
        assertThat(runs.at("/sum")).isEqualTo(run.at("/sum"));
    }

    @ParameterizedTest
    @EnumSource(
            value = WebApplicationType.class,
            names = {"SERVLET", "REACTIVE"})
    @DisplayName("a run that is not remembered is not found, be it by a program or by a person")
    void notFound(WebApplicationType type) throws Exception {
        SpendingApp app = plain(type);
        HttpResponse<String> forPrograms = app.get(app.origin() + "/actuator/fluxtally/nobody", JSON);
        HttpResponse<String> forPeople = app.get(app.origin() + "/actuator/fluxtally/%3Cscript%3Enobody", BROWSER);

        assertThat(forPrograms.statusCode()).isEqualTo(404);
        assertThat(forPrograms.body()).isEmpty();
        assertThat(forPeople.statusCode()).isEqualTo(404);
        assertThat(forPeople.body())
                .contains("&lt;script&gt;nobody", "not remembered")
                .doesNotContain("<script");
    }

    static Stream<Arguments> accepted() {
        return Stream.of(WebApplicationType.SERVLET, WebApplicationType.REACTIVE)
                .flatMap(type -> Stream.of(
                        Arguments.of(type, "*/*", "application/json"),
                        Arguments.of(type, JSON, "application/json"),
                        Arguments.of(type, "application/json, text/plain, */*", "application/json"),
                        Arguments.of(
                                type,
                                "application/vnd.spring-boot.actuator.v3+json",
                                "application/vnd.spring-boot.actuator.v3+json"),
                        Arguments.of(type, BROWSER, "text/html;charset=utf-8"),
                        Arguments.of(type, "text/html", "text/html;charset=utf-8"),
                        Arguments.of(type, "image/png", "")));
    }

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("accepted")
    @DisplayName("it answers a browser with a page, and everybody else with JSON")
    void negotiation(WebApplicationType type, String accept, String contentType) throws Exception {
        SpendingApp app = plain(type);
        HttpResponse<String> answer = app.get(app.origin() + "/actuator/fluxtally", accept);

        if (contentType.isEmpty()) {
            assertThat(answer.statusCode()).isEqualTo(406);
        } else {
            assertThat(answer.statusCode()).isEqualTo(200);
            assertThat(answer.headers().firstValue("content-type").orElse("")).isEqualToIgnoringCase(contentType);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = WebApplicationType.class,
            names = {"SERVLET", "REACTIVE"})
    @DisplayName("its JSON is the same whatever the app says of its own JSON, also of names in other scripts")
    void ownMapper(WebApplicationType type) throws Exception {
        try (SpendingApp app =
                app(type, Customised.class, "management.endpoints.jackson.isolated-object-mapper=false")) {
            spend(app, "天气");

            String list = app.get(app.origin() + "/actuator/fluxtally", JSON).body();
            String run = app.get(app.origin() + "/actuator/fluxtally/%E5%A4%A9%E6%B0%94", JSON)
                    .body();

            assertThat(run).startsWith("{\"run_id\":\"天气\",\"state\":\"CLOSED\",\"start\":\"20");
            assertThat(run).contains("\"usage\":{\"input_tokens\":460,").doesNotContain("\n");
            assertThat(EndpointSchema.errors("run", run)).isEmpty();
            assertThat(EndpointSchema.errors("runs", list)).isEmpty();
            assertThat(app.bean(ObjectMapper.class).writeValueAsString(List.of(1)))
                    .as("what the app has customised")
                    .isEqualTo("[ \"1\" ]");
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = WebApplicationType.class,
            names = {"SERVLET", "REACTIVE"})
    @DisplayName("its pages link one another under another path and at a port of the management's own")
    void elsewhere(WebApplicationType type) throws Exception {
        try (SpendingApp app = app(
                type,
                Plain.class,
                "management.server.port=0",
                "management.server.address=127.0.0.1",
                "management.endpoints.web.base-path=/ops/intern",
                "management.endpoints.web.path-mapping.fluxtally=tokens")) {
            spend(app, "a b");
            String root = app.managementOrigin() + "/ops/intern/";

            assertThat(app.managementOrigin()).isNotEqualTo(app.origin());
            assertThat(app.get(app.origin() + "/ops/intern/tokens", BROWSER).statusCode())
                    .isEqualTo(404);
            assertThat(app.get(root + "tokens", JSON).body()).contains("\"run_id\":\"a b\"");
            assertThat(app.get(root + "tokens", BROWSER).body()).contains("<a href=\"tokens/a%20b\">");
            assertThat(app.get(root + "tokens/a%20b", BROWSER).body()).contains("<a href=\"../tokens\">");
        }
    }

    @Configuration(proxyBeanMethods = false)
    static class Plain {}

    @Configuration(proxyBeanMethods = false)
    static class Customised {

        @Bean
        Jackson2ObjectMapperBuilderCustomizer unusual() {
            return builder -> builder.propertyNamingStrategy(PropertyNamingStrategies.UPPER_CAMEL_CASE)
                    .featuresToEnable(
                            SerializationFeature.INDENT_OUTPUT, JsonGenerator.Feature.WRITE_NUMBERS_AS_STRINGS)
                    .featuresToDisable(SerializationFeature.WRITE_EMPTY_JSON_ARRAYS);
        }
    }
}
