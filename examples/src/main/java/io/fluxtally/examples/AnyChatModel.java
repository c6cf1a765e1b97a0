package io.fluxtally.examples;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Mono;

/** Exact usage of a Spring AI model: the wire tap in its HTTP clients, and a run around its calls. */
public final class AnyChatModel {

    private AnyChatModel() {}

    /** DashScope's chat model with the wire tap in its HTTP clients. */
    public static ChatModel dashScope(String baseUrl, String apiKey) {
        WireTap tap = WireTap.create();
        DashScopeApi api = DashScopeApi.builder()
                .baseUrl(baseUrl)
                .apiKey(apiKey)
                .webClientBuilder(WebClient.builder().filter(new WireTapExchangeFilter(tap)))
                .restClientBuilder(RestClient.builder().requestInterceptor(new WireTapInterceptor(tap)))
                .build();
        return DashScopeChatModel.builder()
                .dashScopeApi(api)
                .defaultOptions(
                        DashScopeChatOptions.builder().model("qwen-plus").build())
                .build();
    }

    /** A streamed call, and what it used. */
    public static Mono<RunUsage> stream(ChatModel model, String question) {
        RunScope run = RunScope.start();
        return run.wrap(UsageChatModel.of(model).stream(new Prompt(question))).then(Mono.fromSupplier(run::usage));
    }

    /** A blocking call, and what it used. */
    public static RunUsage call(ChatModel model, String question) throws Exception {
        RunScope run = RunScope.start();
        run.call(() -> UsageChatModel.of(model).call(new Prompt(question)));
        return run.usage();
    }
}
