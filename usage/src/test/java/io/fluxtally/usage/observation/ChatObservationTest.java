package io.fluxtally.usage.observation;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageSink;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.micrometer.common.KeyValue;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Supplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.embedding.EmbeddingOptions;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationContext;
import org.springframework.ai.tool.definition.ToolDefinition;
import org.springframework.ai.tool.observation.ToolCallingObservationContext;
import reactor.util.context.Context;
import reactor.util.context.ContextView;

@DisplayName("A request in a chat model's observation")
class ChatObservationTest {

    private static final String INPUT = "gen_ai.usage.input_tokens";
    private static final String OUTPUT = "gen_ai.usage.output_tokens";
    private static final String TOTAL = "gen_ai.usage.total_tokens";
    private static final String SOURCE = "fluxtally.usage.source";
    private static final ModelCall.OpenRequest BOOKED_BY_ITSELF = () -> {};

    private final ObservationRegistry registry = ObservationRegistry.create();
    private final ChatObservationListener listener = new ChatObservationListener(registry);

    @BeforeEach
    void observe() {
        registry.observationConfig()
                .observationHandler((ObservationHandler<Observation.Context>) context -> true)
                .observationFilter(new ChatUsageObservationFilter());
    }

    @Test
    @DisplayName("is summed up with the others there, in place of what Spring AI says")
    void summedUp() {
        Observation chat = chat();
        chat.highCardinalityKeyValue(INPUT, "7").highCardinalityKeyValue(TOTAL, "9");
        TokenUsage usage = TokenUsage.builder()
                .inputTokens(100)
                .outputTokens(10)
                .part(TokenPart.CACHE_READ_INPUT, 60)
                .part(TokenPart.CACHE_CREATION_INPUT, 30)
                .part(TokenPart.REASONING_OUTPUT, 4)
                .build();

        sink(in(chat)).accept(request(usage, UsageSource.REPORTED));
        sink(in(chat)).accept(request(TokenUsage.of(200, 20), UsageSource.PARTIAL));
        chat.stop();

        assertThat(values(chat))
                .containsEntry(INPUT, "300")
                .containsEntry(OUTPUT, "30")
                .containsEntry(TOTAL, "330")
                .containsEntry("gen_ai.usage.cache_read.input_tokens", "60")
                .containsEntry("gen_ai.usage.cache_creation.input_tokens", "30")
                .containsEntry("fluxtally.usage.reasoning.output_tokens", "4")
                .containsEntry("fluxtally.usage.requests", "2")
                .containsEntry("fluxtally.usage.unreported", "1")
                .containsEntry(SOURCE, "reported,partial");
    }

    @Test
    @DisplayName("names reasoning as OpenTelemetry does, if asked to")
    void otelNames() {
        Observation.Context context = chat().getContext();
        ObservedRequests.of(context)
                .begun(BOOKED_BY_ITSELF)
                .accept(request(
                        TokenUsage.builder()
                                .inputTokens(100)
                                .outputTokens(10)
                                .part(TokenPart.REASONING_OUTPUT, 4)
                                .build(),
                        UsageSource.REPORTED));

        new ChatUsageObservationFilter(ChatUsageObservationFilter.Naming.OTEL).map(context);

        assertThat(context.getHighCardinalityKeyValue("gen_ai.usage.reasoning.output_tokens")
                        .getValue())
                .isEqualTo("4");
        assertThat(context.getHighCardinalityKeyValue("fluxtally.usage.reasoning.output_tokens"))
                .isNull();
    }

    @Test
    @DisplayName("for which nothing was reported leaves no figure, not even Spring AI's zero (T14)")
    void unknownIsNotZero() {
        Observation chat = chat();
        chat.highCardinalityKeyValue(INPUT, "0")
                .highCardinalityKeyValue(OUTPUT, "0")
                .highCardinalityKeyValue(TOTAL, "0");

        sink(in(chat)).accept(request(null, UsageSource.MISSING));
        chat.stop();

        assertThat(values(chat)).containsEntry(SOURCE, "missing").doesNotContainKeys(INPUT, OUTPUT, TOTAL);
    }

    @Test
    @DisplayName("that is just being booked when the observation stops is in it, once")
    void beingBooked() {
        Observation chat = chat();
        WireTap tap = WireTap.builder()
                .recorder(UsageRecorder.withSinks(booked -> chat.stop()))
                .listener(listener)
                .build();
        WireRequest request = Objects.requireNonNull(
                tap.admit(new RequestHead("POST", "/v1/chat/completions", name -> false), null, List.of(in(chat))));

        request.responded(200, "application/json", null);
        request.body(ByteBuffer.wrap("""
                {"object":"chat.completion","usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}}
                """.getBytes(UTF_8)));
        request.completed();

        assertThat(values(chat)).containsEntry(INPUT, "100").containsEntry("fluxtally.usage.requests", "1");
    }

    @Test
    @DisplayName("that reported no part has none, which is not zero (T14)")
    void absentParts() {
        Observation chat = chat();

        sink(in(chat)).accept(request(TokenUsage.of(100, 10), UsageSource.REPORTED));
        chat.stop();

        assertThat(values(chat))
                .containsOnlyKeys(
                        INPUT, OUTPUT, TOTAL, SOURCE, "fluxtally.usage.requests", "fluxtally.usage.unreported");
    }

    @Test
    @DisplayName("that the wire tap did not see leaves the observation as it is")
    void unseen() {
        Observation chat = chat();
        chat.highCardinalityKeyValue(INPUT, "7");
        sink(in(chat));

        chat.stop();

        assertThat(values(chat)).containsOnlyKeys(INPUT).containsEntry(INPUT, "7");
    }

    @Test
    @DisplayName("that is open when the observation stops is booked then, since nobody waits for it any more")
    void leftOpen() {
        Observation chat = chat();
        UsageSink[] sink = new UsageSink[1];
        sink[0] = listener.onRequest(
                List.of(in(chat)), () -> sink[0].accept(request(TokenUsage.of(40, 6), UsageSource.PARTIAL)));

        chat.stop();

        assertThat(values(chat)).containsEntry(INPUT, "40").containsEntry(SOURCE, "partial");
    }

    @Test
    @DisplayName("that is booked after the observation stopped changes nothing there and throws nothing")
    void late() {
        Observation chat = chat();
        UsageSink drained = sink(in(chat));
        sink(in(chat)).accept(request(TokenUsage.of(100, 10), UsageSource.REPORTED));
        chat.stop();

        drained.accept(request(TokenUsage.of(1, 1), UsageSource.REPORTED));

        assertThat(values(chat)).containsEntry(INPUT, "100").containsEntry("fluxtally.usage.requests", "1");
    }

    @Test
    @DisplayName("that cannot be booked does not reach the app")
    void failing() {
        Observation chat = chat();
        listener.onRequest(List.of(in(chat)), () -> {
            throw new IllegalStateException("a request that fails");
        });
        long before = MeasuringFailures.count();

        chat.stop();

        assertThat(MeasuringFailures.count()).isGreaterThan(before);
    }

    @Test
    @DisplayName("is found below the HTTP client's own observation")
    void belowHttp() {
        Observation chat = chat();
        Observation http = Observation.createNotStarted("http.client.requests", registry)
                .parentObservation(chat)
                .start();

        assertThat(listener.onRequest(List.of(in(http)), BOOKED_BY_ITSELF)).isNotNull();
    }

    @Test
    @DisplayName("belongs to the innermost observation of a model alone")
    void innermost() {
        Observation outer = chat();
        Observation inner = chat();
        ((Observation.Context) inner.getContext()).setParentObservation(outer);

        sink(in(inner)).accept(request(TokenUsage.of(100, 10), UsageSource.REPORTED));
        inner.stop();
        outer.stop();

        assertThat(values(inner)).containsEntry(INPUT, "100");
        assertThat(values(outer)).isEmpty();
    }

    @Test
    @DisplayName("is found around an HTTP client that is not observed, which hides the observation in its own context")
    void hidden() {
        Observation chat = chat();

        UsageSink sink = listener.onRequest(List.of(in(Observation.NOOP), in(chat)), BOOKED_BY_ITSELF);

        assertThat(sink).isNotNull();
    }

    @Test
    @DisplayName("is found on the thread, also behind an HTTP client that is not observed")
    void onTheThread() {
        Observation chat = chat();
        try (Observation.Scope outer = chat.openScope();
                Observation.Scope http = Observation.NOOP.openScope()) {
            sink().accept(request(TokenUsage.of(100, 10), UsageSource.REPORTED));
        }
        chat.stop();

        assertThat(values(chat)).containsEntry(INPUT, "100");
    }

    @Test
    @DisplayName("is found on the thread that waits for a reactive client, whose own context does not tell")
    void blockingOnAReactiveClient() {
        Observation chat = chat();
        Observation http = Observation.start("http.client.requests", registry);
        try (Observation.Scope scope = chat.openScope()) {
            assertThat(listener.onRequest(List.of(in(http)), BOOKED_BY_ITSELF)).isNotNull();
        }
    }

    @Test
    @DisplayName("is none of it in a tool or in another kind of model")
    void ofSomethingElse() {
        Observation chat = chat();
        Observation tool = below(
                chat,
                () -> ToolCallingObservationContext.builder()
                        .toolDefinition(ToolDefinition.builder()
                                .name("get_weather")
                                .description("Tells the weather.")
                                .inputSchema("{}")
                                .build())
                        .toolCallArguments("{}")
                        .build());
        Observation embedding = below(
                chat,
                () -> EmbeddingModelObservationContext.builder()
                        .embeddingRequest(new EmbeddingRequest(
                                List.of("text"), EmbeddingOptions.builder().build()))
                        .provider("openai")
                        .build());
        try (Observation.Scope scope = chat.openScope()) {
            assertThat(listener.onRequest(List.of(in(tool)), BOOKED_BY_ITSELF)).isNull();
            assertThat(listener.onRequest(List.of(in(embedding)), BOOKED_BY_ITSELF))
                    .isNull();
        }
    }

    @Test
    @DisplayName("is in no observation where there is none")
    void nowhere() {
        assertThat(listener.onRequest(List.of(Context.empty()), BOOKED_BY_ITSELF))
                .isNull();
        assertThat(listener.onRequest(List.of(in(Observation.NOOP)), BOOKED_BY_ITSELF))
                .isNull();
        assertThat(listener.onRequest(List.of(), BOOKED_BY_ITSELF)).isNull();
    }

    private Observation chat() {
        return Observation.start(
                "gen_ai.client.operation",
                () -> ChatModelObservationContext.builder()
                        .prompt(new Prompt("q", ChatOptions.builder().build()))
                        .provider("openai")
                        .build(),
                registry);
    }

    private Observation below(Observation parent, Supplier<Observation.Context> context) {
        return Observation.createNotStarted("inside", context, registry)
                .parentObservation(parent)
                .start();
    }

    private static ContextView in(Observation observation) {
        return Context.of(ObservationThreadLocalAccessor.KEY, observation);
    }

    private UsageSink sink(ContextView... contexts) {
        return listener.onRequest(List.of(contexts), BOOKED_BY_ITSELF);
    }

    private static RequestUsage request(TokenUsage usage, UsageSource source) {
        return RequestUsage.builder(UUID.randomUUID().toString(), Instant.EPOCH)
                .usage(usage, source)
                .build();
    }

    private static TreeMap<String, String> values(Observation observation) {
        TreeMap<String, String> values = new TreeMap<>();
        for (KeyValue value : observation.getContext().getHighCardinalityKeyValues()) {
            values.put(value.getKey(), value.getValue());
        }
        return values;
    }
}
