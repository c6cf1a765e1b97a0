package io.fluxtally.conformance.engine;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.retry.TransientAiException;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.retry.support.RetryTemplate;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;

/** The real clients, pointed at a loopback provider: as a stock app builds them, or with the wire tap installed. */
final class ClientModels {

    /** Stock clients retry transient errors with pauses of seconds; here the pauses are left out. */
    private static final RetryTemplate RETRY = RetryTemplate.builder()
            .maxAttempts(3)
            .retryOn(TransientAiException.class)
            .fixedBackoff(1)
            .build();

    /** The clients insist on some key; a loopback provider asks for none. */
    private static final String NO_KEY = "none";

    private ClientModels() {}

    /** A model and the options that a scenario asks for, its tools among them. */
    record Configured(ChatModel model, ToolCallingChatOptions options) {}

    static Configured create(Scenario scenario, String baseUrl, @Nullable WireTap tap) {
        WebClient.Builder webClient = WebClient.builder();
        RestClient.Builder restClient = RestClient.builder();
        if (tap != null) {
            webClient.filter(new WireTapExchangeFilter(tap));
            restClient.requestInterceptor(new WireTapInterceptor(tap));
        }
        return switch (scenario.client()) {
            case DASHSCOPE -> dashScope(scenario, baseUrl, webClient, restClient);
            case OPENAI -> openAi(scenario, baseUrl, webClient, restClient);
            default ->
                throw new IllegalArgumentException("scenario %s: client must be dashscope or openai, but is %s"
                        .formatted(scenario.name(), scenario.client().word()));
        };
    }

    private static Configured dashScope(
            Scenario scenario, String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        DashScopeChatOptions options =
                DashScopeChatOptions.builder().model("qwen-plus").build();
        Map<String, Object> extraBody = new HashMap<>(scenario.options());
        if (extraBody.remove("incremental_output") instanceof Boolean incremental) {
            options.setIncrementalOutput(incremental);
        }
        options.setExtraBody(extraBody);
        options.setToolCallbacks(tools(scenario));
        DashScopeApi api = DashScopeApi.builder()
                .baseUrl(baseUrl)
                .apiKey(NO_KEY)
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        DashScopeChatModel model = DashScopeChatModel.builder()
                .dashScopeApi(api)
                .defaultOptions(
                        DashScopeChatOptions.builder().model("qwen-plus").build())
                .retryTemplate(RETRY)
                .build();
        return new Configured(model, options);
    }

    private static Configured openAi(
            Scenario scenario, String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        OpenAiChatOptions options = OpenAiChatOptions.builder()
                .model("gpt-4o-mini")
                .streamUsage(scenario.mode() == Mode.STREAM)
                .extraBody(new HashMap<>(scenario.options()))
                .toolCallbacks(tools(scenario))
                .build();
        OpenAiApi api = OpenAiApi.builder()
                .baseUrl(baseUrl)
                .apiKey(NO_KEY)
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        OpenAiChatModel model = OpenAiChatModel.builder()
                .openAiApi(api)
                .defaultOptions(OpenAiChatOptions.builder().model("gpt-4o-mini").build())
                .retryTemplate(RETRY)
                .build();
        return new Configured(model, options);
    }

    private static List<ToolCallback> tools(Scenario scenario) {
        return scenario.tools().stream().map(ClientModels::tool).toList();
    }

    private static ToolCallback tool(String name) {
        return FunctionToolCallback.builder(name, (Map<String, Object> input) -> Map.of("ok", true))
                .description("Answers that all is well.")
                .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                .build();
    }
}
