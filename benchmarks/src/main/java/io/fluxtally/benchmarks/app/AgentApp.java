package io.fluxtally.benchmarks.app;

import static org.springframework.web.reactive.function.server.RouterFunctions.route;

import io.fluxtally.benchmarks.Spent;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.UsageRecorder;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.tool.annotation.Tool;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.http.MediaType;
import org.springframework.web.reactive.function.server.RouterFunction;
import org.springframework.web.reactive.function.server.ServerResponse;

/** The measured process: a web app whose agent asks a model, runs its tool, and streams what the model makes of it. */
@SpringBootConfiguration(proxyBeanMethods = false)
@EnableAutoConfiguration
public class AgentApp {

    /** For Spring. */
    AgentApp() {}

    /** What the model may ask for. */
    static final class WeatherTool {

        @Tool(name = ModelServer.TOOL, description = "Tells the weather in a city.")
        String weather(String city) {
            return "cloudy, 26 °C";
        }
    }

    @Bean
    RouterFunction<ServerResponse> routes(ChatClient.Builder chat) {
        ChatClient agent = chat.defaultTools(new WeatherTool()).build();
        return route().GET(
                        "/ask",
                        request -> ServerResponse.ok()
                                .contentType(MediaType.TEXT_EVENT_STREAM)
                                .body(agent.prompt("question").stream().content(), String.class))
                .build();
    }

    /**
     * Runs the app until its input ends: writes its port, and after each line what it has spent and booked until then.
     * Arguments: the model's URL, {@code on} or {@code off}.
     */
    public static void main(String[] arguments) throws IOException {
        try (PrintWriter out = new PrintWriter(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
                BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
                ConfigurableApplicationContext app = new SpringApplicationBuilder(AgentApp.class)
                        .properties(
                                "server.port=0",
                                "server.address=127.0.0.1",
                                "spring.main.banner-mode=off",
                                "logging.level.root=OFF",
                                "spring.ai.dashscope.api-key=none",
                                "spring.ai.dashscope.base-url=" + arguments[0],
                                "fluxtally.enabled=" + arguments[1].equals("on"),
                                "fluxtally.web.run-per-request=true")
                        .run()) {
            out.println(app.getEnvironment().getRequiredProperty("local.server.port"));
            // None, if Fluxtally is off.
            ObjectProvider<UsageRecorder> recorders = app.getBeanProvider(UsageRecorder.class);
            while (in.readLine() != null) {
                Spent spent = Spent.now();
                UsageSum booked =
                        recorders.stream().map(UsageRecorder::processSum).reduce(UsageSum.EMPTY, UsageSum::plus);
                out.println("%d %d %d %d"
                        .formatted(
                                spent.nanos(),
                                spent.bytes(),
                                booked.requests(),
                                booked.total().outputTokens()));
            }
        }
        System.exit(0);
    }
}
