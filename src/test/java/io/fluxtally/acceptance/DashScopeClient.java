package io.fluxtally.acceptance;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import org.jspecify.annotations.Nullable;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;

/** DashScope's real client, with the wire tap or as it is. */
final class DashScopeClient {

    /** Room for any event of these tests, so that the codec is not what ends them. */
    private static final int UNLIMITED = -1;

    private DashScopeClient() {}

    static DashScopeChatModel stock(String baseUrl) {
        return create(baseUrl, null);
    }

    static DashScopeChatModel tapped(String baseUrl, WireTap tap) {
        return create(baseUrl, tap);
    }

    private static DashScopeChatModel create(String baseUrl, @Nullable WireTap tap) {
        WebClient.Builder webClient =
                WebClient.builder().codecs(codecs -> codecs.defaultCodecs().maxInMemorySize(UNLIMITED));
        RestClient.Builder restClient = RestClient.builder();
        if (tap != null) {
            webClient.filter(new WireTapExchangeFilter(tap));
            restClient.requestInterceptor(new WireTapInterceptor(tap));
        }
        DashScopeApi api = DashScopeApi.builder()
                .baseUrl(baseUrl)
                .apiKey("none")
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        return DashScopeChatModel.builder()
                .dashScopeApi(api)
                .defaultOptions(
                        DashScopeChatOptions.builder().model("qwen-plus").build())
                .build();
    }
}
