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
import org.springframework.ai.anthropic.AnthropicChatModel;
import org.springframework.ai.anthropic.AnthropicChatOptions;
import org.springframework.ai.anthropic.api.AnthropicApi;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.deepseek.DeepSeekChatModel;
import org.springframework.ai.deepseek.DeepSeekChatOptions;
import org.springframework.ai.deepseek.api.DeepSeekApi;
import org.springframework.ai.mistralai.MistralAiChatModel;
import org.springframework.ai.mistralai.MistralAiChatOptions;
import org.springframework.ai.mistralai.api.MistralAiApi;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.ollama.OllamaChatModel;
import org.springframework.ai.ollama.api.OllamaApi;
import org.springframework.ai.ollama.api.OllamaChatOptions;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.retry.TransientAiException;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.ai.zhipuai.ZhiPuAiChatModel;
import org.springframework.ai.zhipuai.ZhiPuAiChatOptions;
import org.springframework.ai.zhipuai.api.ZhiPuAiApi;
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
            case ANTHROPIC -> anthropic(scenario, baseUrl, webClient, restClient);
            case DEEPSEEK -> deepSeek(scenario, baseUrl, webClient, restClient);
            case MISTRAL -> mistral(scenario, baseUrl, webClient, restClient);
            case ZHIPU -> zhipu(scenario, baseUrl, webClient, restClient);
            case OLLAMA -> ollama(scenario, baseUrl, webClient, restClient);
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
        ChatModel model = DashScopeChatModel.builder()
                .dashScopeApi(api)
                .retryTemplate(RETRY)
                .build();
        return new Configured(model, options);
    }

    private static Configured openAi(
            Scenario scenario, String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        OpenAiApi api = OpenAiApi.builder()
                .baseUrl(baseUrl)
                .apiKey(NO_KEY)
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        ChatModel model =
                OpenAiChatModel.builder().openAiApi(api).retryTemplate(RETRY).build();
        return new Configured(
                model,
                OpenAiChatOptions.builder()
                        .model("gpt-4o-mini")
                        .streamUsage(scenario.mode() == Mode.STREAM)
                        .extraBody(new HashMap<>(scenario.options()))
                        .toolCallbacks(tools(scenario))
                        .build());
    }

    private static Configured anthropic(
            Scenario scenario, String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        AnthropicApi api = AnthropicApi.builder()
                .baseUrl(baseUrl)
                .apiKey(NO_KEY)
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        ChatModel model = AnthropicChatModel.builder()
                .anthropicApi(api)
                .retryTemplate(RETRY)
                .build();
        return new Configured(
                model,
                AnthropicChatOptions.builder()
                        .model("claude-sonnet-4-0")
                        .maxTokens(1024)
                        .toolCallbacks(tools(scenario))
                        .build());
    }

    private static Configured deepSeek(
            Scenario scenario, String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        DeepSeekApi api = DeepSeekApi.builder()
                .baseUrl(baseUrl)
                .apiKey(NO_KEY)
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        ChatModel model = DeepSeekChatModel.builder()
                .deepSeekApi(api)
                .retryTemplate(RETRY)
                .build();
        return new Configured(
                model,
                DeepSeekChatOptions.builder()
                        .model("deepseek-chat")
                        .toolCallbacks(tools(scenario))
                        .build());
    }

    private static Configured mistral(
            Scenario scenario, String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        MistralAiApi api = MistralAiApi.builder()
                .baseUrl(baseUrl)
                .apiKey(NO_KEY)
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        ChatModel model = MistralAiChatModel.builder()
                .mistralAiApi(api)
                .retryTemplate(RETRY)
                .build();
        return new Configured(
                model,
                MistralAiChatOptions.builder()
                        .model("mistral-small-latest")
                        .toolCallbacks(tools(scenario))
                        .build());
    }

    private static Configured zhipu(
            Scenario scenario, String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        ZhiPuAiApi api = ZhiPuAiApi.builder()
                .baseUrl(baseUrl)
                .apiKey(NO_KEY)
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        ZhiPuAiChatOptions defaults =
                ZhiPuAiChatOptions.builder().model("glm-4.5").build();
        return new Configured(
                new ZhiPuAiChatModel(api, defaults, RETRY),
                ZhiPuAiChatOptions.builder()
                        .model("glm-4.5")
                        .toolCallbacks(tools(scenario))
                        .build());
    }

    private static Configured ollama(
            Scenario scenario, String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        OllamaApi api = OllamaApi.builder()
                .baseUrl(baseUrl)
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        ChatModel model =
                OllamaChatModel.builder().ollamaApi(api).retryTemplate(RETRY).build();
        return new Configured(
                model,
                OllamaChatOptions.builder()
                        .model("qwen3")
                        .toolCallbacks(tools(scenario))
                        .build());
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
