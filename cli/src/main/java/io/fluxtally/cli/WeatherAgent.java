package io.fluxtally.cli;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import java.util.Map;
import java.util.function.Consumer;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;

/** The demo's agent: DashScope's real client with the wire tap in it, and two tools. */
final class WeatherAgent {

    private WeatherAgent() {}

    static ReactAgent create(String baseUrl, String apiKey, String model, Consumer<String> toolCalls) {
        WireTap tap = WireTap.create();
        DashScopeApi api = DashScopeApi.builder()
                .baseUrl(baseUrl)
                .apiKey(apiKey)
                .webClientBuilder(WebClient.builder().filter(new WireTapExchangeFilter(tap)))
                .restClientBuilder(RestClient.builder().requestInterceptor(new WireTapInterceptor(tap)))
                .build();
        DashScopeChatModel chatModel = DashScopeChatModel.builder()
                .dashScopeApi(api)
                .defaultOptions(DashScopeChatOptions.builder().model(model).build())
                .build();
        return ReactAgent.builder("weather")
                .model(chatModel)
                .options(DashScopeChatOptions.builder().model(model).build())
                .tools(
                        tool("get_weather", "Tells today's weather in a city.", "cloudy, 18 degrees", toolCalls),
                        tool("get_forecast", "Tells the weather in a city in the next days.", "rain", toolCalls))
                .build();
    }

    private static ToolCallback tool(String name, String description, String answer, Consumer<String> toolCalls) {
        return FunctionToolCallback.builder(name, (Map<String, Object> input) -> {
                    toolCalls.accept(name + input);
                    return Map.of("weather", answer);
                })
                .description(description)
                .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                .inputSchema("""
                        {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}""")
                .build();
    }
}
