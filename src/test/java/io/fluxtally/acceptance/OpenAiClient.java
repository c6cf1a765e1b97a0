package io.fluxtally.acceptance;

import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;

/** OpenAI's real client with the wire tap. */
final class OpenAiClient {

    private OpenAiClient() {}

    static OpenAiChatModel tapped(String baseUrl, WireTap tap) {
        OpenAiApi api = OpenAiApi.builder()
                .baseUrl(baseUrl)
                .apiKey("none")
                .webClientBuilder(WebClient.builder().filter(new WireTapExchangeFilter(tap)))
                .restClientBuilder(RestClient.builder().requestInterceptor(new WireTapInterceptor(tap)))
                .build();
        return OpenAiChatModel.builder()
                .openAiApi(api)
                .defaultOptions(OpenAiChatOptions.builder()
                        .model("qwen-plus")
                        .streamUsage(true)
                        .build())
                .build();
    }
}
