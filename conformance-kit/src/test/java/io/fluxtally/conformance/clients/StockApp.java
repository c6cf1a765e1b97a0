package io.fluxtally.conformance.clients;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Scenario;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.retry.TransientAiException;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.retry.support.RetryTemplate;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;

/** An app on the stock clients, which ask again where stock clients do: it reads what is there to be read. */
final class StockApp {

    /** Stock clients wait for seconds before they ask again; here they do not. */
    private static final RetryTemplate RETRY = RetryTemplate.builder()
            .maxAttempts(3)
            .retryOn(TransientAiException.class)
            .fixedBackoff(1)
            .build();

    private final Scenario scenario;

    private final ChatModel model;

    private final List<Map<String, Object>> toolInputs = new ArrayList<>();

    private final StringBuffer wire = new StringBuffer();

    StockApp(Scenario scenario, String baseUrl) {
        this.scenario = scenario;
        this.model = switch (scenario.client()) {
            case DASHSCOPE -> dashScope(baseUrl);
            case OPENAI -> openAi(baseUrl);
            default -> throw new IllegalArgumentException("client " + scenario.client() + " is not known here");
        };
    }

    /** What the app got: its elements, or the error after them. */
    record Seen(List<ChatResponse> elements, @Nullable Throwable error) {

        /** Input and output of the last element with any usage, as an app reads them. */
        String usage() {
            String usage = "0/0";
            for (ChatResponse element : elements) {
                var figures = element.getMetadata().getUsage();
                if (hasCounts(figures)) {
                    usage = figures.getPromptTokens() + "/" + figures.getCompletionTokens();
                }
            }
            return usage;
        }

        /** DashScope's usage throws where its counts are null, which is how an app finds that out. */
        private static boolean hasCounts(Usage usage) {
            try {
                return usage.getTotalTokens() > 0;
            } catch (NullPointerException lacksCounts) {
                return false;
            }
        }

        String text() {
            return elements.stream()
                    .flatMap(element -> element.getResults().stream())
                    .map(generation -> generation.getOutput().getText())
                    .filter(text -> text != null)
                    .collect(Collectors.joining());
        }
    }

    Seen run() {
        Prompt prompt = new Prompt(new UserMessage("上海天气怎么样？"));
        List<ChatResponse> elements = new ArrayList<>();
        try {
            if (scenario.mode() == Mode.CALL) {
                elements.add(model.call(prompt));
            } else {
                Flux<ChatResponse> stream = model.stream(prompt);
                Integer cancelAfter = scenario.cancelAfter();
                (cancelAfter == null ? stream : stream.take(cancelAfter))
                        .doOnNext(elements::add)
                        .blockLast(Duration.ofSeconds(20));
            }
            return new Seen(elements, null);
        } catch (RuntimeException e) {
            return new Seen(elements, e);
        }
    }

    List<Map<String, Object>> toolInputs() {
        return toolInputs;
    }

    /** What passed a filter of the client's on its way up, in a stream. Each buffer is an HTTP chunk. */
    String wire() {
        return wire.toString();
    }

    private WebClient.Builder webClient() {
        return WebClient.builder()
                .filter((request, next) -> next.exchange(request)
                        .map(response -> response.mutate()
                                .body(body ->
                                        body.doOnNext(buffer -> wire.append(buffer.toString(StandardCharsets.UTF_8))))
                                .build()));
    }

    private ChatModel dashScope(String baseUrl) {
        DashScopeChatOptions options =
                DashScopeChatOptions.builder().model("qwen-plus").build();
        options.setToolCallbacks(tools());
        Map<String, Object> extra = new HashMap<>(scenario.options());
        if (extra.remove("incremental_output") instanceof Boolean incremental) {
            options.setIncrementalOutput(incremental);
        }
        options.setExtraBody(extra);
        return DashScopeChatModel.builder()
                .dashScopeApi(DashScopeApi.builder()
                        .baseUrl(baseUrl)
                        .apiKey("no-key")
                        .webClientBuilder(webClient())
                        .build())
                .defaultOptions(options)
                .retryTemplate(RETRY)
                .build();
    }

    private ChatModel openAi(String baseUrl) {
        OpenAiChatOptions options = OpenAiChatOptions.builder()
                .model("qwen-plus")
                .streamUsage(scenario.mode() == Mode.STREAM)
                .toolCallbacks(tools())
                .build();
        return OpenAiChatModel.builder()
                .openAiApi(OpenAiApi.builder()
                        .baseUrl(baseUrl)
                        .apiKey("no-key")
                        .webClientBuilder(webClient())
                        .build())
                .defaultOptions(options)
                .retryTemplate(RETRY)
                .build();
    }

    private List<ToolCallback> tools() {
        List<ToolCallback> tools = new ArrayList<>();
        for (String name : scenario.tools()) {
            tools.add(FunctionToolCallback.builder(name, (Map<String, Object> input) -> {
                        toolInputs.add(input);
                        return Map.of("ok", true);
                    })
                    .description("answers that all is well")
                    .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                    .build());
        }
        return tools;
    }
}
