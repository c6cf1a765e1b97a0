package io.fluxtally.boot.alibaba;

import static com.alibaba.cloud.ai.graph.StateGraph.END;
import static com.alibaba.cloud.ai.graph.StateGraph.START;
import static com.alibaba.cloud.ai.graph.action.AsyncNodeAction.node_async;
import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.KeyStrategy;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.agent.flow.agent.SequentialAgent;
import com.alibaba.cloud.ai.graph.exception.GraphStateException;
import io.fluxtally.alibaba.FluxtallyGraph;
import io.fluxtally.alibaba.GraphUsage;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.RunState;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;

@DisplayName("Agents and graphs of Spring AI Alibaba that are beans")
class AlibabaBeansTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    /** The arguments of a tool, whatever they are. */
    record Question(String city) {}

    /** An app as its author wrote it before there was Fluxtally. */
    @SpringBootConfiguration
    @EnableAutoConfiguration
    static class App {

        @Bean
        ReactAgent weather(ChatModel model) {
            return ReactAgent.builder()
                    .name("weather")
                    .description("Knows the weather.")
                    .model(model)
                    .tools(tool("get_weather"), tool("get_forecast"))
                    .outputKey("weather_answer")
                    .build();
        }

        @Bean
        SequentialAgent chain(ReactAgent weather) throws GraphStateException {
            return SequentialAgent.builder()
                    .name("chain")
                    .subAgents(List.of(weather))
                    .build();
        }

        @Bean
        CompiledGraph graph(ChatModel model) throws GraphStateException {
            return new StateGraph(() -> Map.<String, KeyStrategy>of())
                    .addNode("answer", node_async(state -> Map.of("messages", model.stream(new Prompt("Shanghai?")))))
                    .addEdge(START, "answer")
                    .addEdge("answer", END)
                    .compile();
        }

        private static ToolCallback tool(String name) {
            return FunctionToolCallback.builder(name, (Question question) -> "cloudy")
                    .description("Tells the weather.")
                    .inputType(Question.class)
                    .build();
        }
    }

    private static ConfigurableApplicationContext start(LoopbackProvider provider, String... more) {
        return new SpringApplicationBuilder(App.class)
                .web(WebApplicationType.NONE)
                .properties("spring.ai.dashscope.base-url=" + provider.baseUrl(), "spring.ai.dashscope.api-key=none")
                // OpenAI's client is on this class path too.
                .properties("spring.ai.model.chat=dashscope", "spring.ai.openai.api-key=none")
                .properties(more)
                .run();
    }

    private static void billed(String scenario, Function<ConfigurableApplicationContext, NodeOutput> ask) {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load(scenario));
                ConfigurableApplicationContext app = start(provider)) {
            NodeOutput end = ask.apply(app);

            RunUsage usage = GraphUsage.of(end).orElseThrow();
            assertThat(usage.isComplete()).isTrue();
            assertThat(end.tokenUsage()).isInstanceOf(DashScopeAiUsage.class);
            assertThat(app.getBean(UsageRecorder.class).processSum().total())
                    .as("booked once, by the app's recorder")
                    .isEqualTo(usage.total());
            assertThat(app.getBean(RunHistory.class).runs()).singleElement().satisfies(run -> {
                assertThat(run.state()).isEqualTo(RunState.SEEN);
                assertThat(run.sum().total()).isEqualTo(usage.total());
            });
        }
    }

    @Test
    @DisplayName("read what they are billed: an agent that streams (T1, T3)")
    void agentStreams() {
        billed("dashscope-three-rounds-usage-only-stream", app -> {
            NodeOutput end = stream(app.getBean("weather", ReactAgent.class));
            assertThat(end.tokenUsage().getTotalTokens()).isEqualTo(26_500);
            return end;
        });
    }

    @Test
    @DisplayName("read what they are billed: an agent that is called")
    void agentIsCalled() {
        billed("dashscope-three-rounds-call", app -> {
            NodeOutput end = call(app.getBean("weather", ReactAgent.class));
            assertThat(end.tokenUsage().getTotalTokens()).isEqualTo(26_500);
            return end;
        });
    }

    @Test
    @DisplayName("read what they are billed: an agent of agents")
    void flow() {
        billed("dashscope-three-rounds-running-stream", app -> {
            NodeOutput end = stream(app.getBean(SequentialAgent.class));
            assertThat(end.tokenUsage().getTotalTokens()).isEqualTo(26_500);
            assertThat(GraphUsage.of(end).orElseThrow().byAgent()).containsOnlyKeys("weather");
            return end;
        });
    }

    @Test
    @DisplayName("read what they are billed: a graph")
    void graph() {
        billed("dashscope-plain-stream", app -> {
            NodeOutput end = app.getBean(CompiledGraph.class).stream(Map.of()).blockLast(PATIENCE);
            assertThat(GraphUsage.of(end).orElseThrow().byNode()).containsOnlyKeys("answer");
            return end;
        });
    }

    @Test
    @DisplayName("stay as they are where that is asked for")
    void switchedOff() {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("dashscope-three-rounds-call"));
                ConfigurableApplicationContext app = start(provider, "fluxtally.alibaba.instrument=false")) {
            NodeOutput end = call(app.getBean("weather", ReactAgent.class));

            assertThat(app.getBean(CompiledGraph.class)).isExactlyInstanceOf(CompiledGraph.class);
            assertThat(app.getBean("weather", ReactAgent.class).getAndCompileGraph())
                    .isNotInstanceOf(FluxtallyGraph.class);
            assertThat(GraphUsage.of(end)).isEmpty();
            assertThat(app.getBean(UsageRecorder.class).processSum().total().totalTokens())
                    .as("the wire tap sees it all the same")
                    .isEqualTo(26_500);
        }
    }

    private static NodeOutput stream(com.alibaba.cloud.ai.graph.agent.Agent agent) {
        try {
            return agent.stream("Shanghai?").blockLast(PATIENCE);
        } catch (Exception failure) {
            throw new AssertionError(failure);
        }
    }

    private static NodeOutput call(ReactAgent agent) {
        try {
            return agent.invokeAndGetOutput("Shanghai?").orElseThrow();
        } catch (Exception failure) {
            throw new AssertionError(failure);
        }
    }
}
