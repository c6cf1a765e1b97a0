package io.fluxtally.conformance.engine;

import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.exception.GraphRunnerException;
import com.alibaba.cloud.ai.graph.streaming.OutputType;
import com.alibaba.cloud.ai.graph.streaming.StreamingOutput;
import io.fluxtally.alibaba.FluxtallyAgents;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tool.ToolCallback;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Spring AI Alibaba's {@code ReactAgent}; in a class of its own, so that the other engines do without that library. */
final class AlibabaAgent {

    private AlibabaAgent() {}

    static Flux<?> ask(
            String question,
            Mode mode,
            ChatModel model,
            ToolCallingChatOptions options,
            @Nullable UsageRecorder recorder) {
        try {
            ReactAgent agent = ReactAgent.builder()
                    .name("replay")
                    .model(new JoinedChatModel(model))
                    .chatOptions(options)
                    .tools(options.getToolCallbacks().toArray(ToolCallback[]::new))
                    .build();
            if (recorder != null) {
                FluxtallyAgents.instrument(agent, recorder);
            }
            return mode == Mode.STREAM
                    ? agent.stream(question).filter(AlibabaAgent::isOfTheModel)
                    : Mono.justOrEmpty(agent.invokeAndGetOutput(
                                    question, RunnableConfig.builder().build()))
                            .flux();
        } catch (GraphRunnerException failure) {
            return Flux.error(failure);
        }
    }

    /** Whether an output is what an app shows of an answer, or the end. */
    private static boolean isOfTheModel(NodeOutput output) {
        return output.isEND()
                || (output instanceof StreamingOutput<?> streaming
                        && streaming.getOutputType() == OutputType.AGENT_MODEL_STREAMING);
    }

    /** What the outputs carry, as the engines of models have it. */
    static List<ChatResponse> read(List<?> elements) {
        List<ChatResponse> responses = new ArrayList<>();
        for (Object element : elements) {
            Usage usage = element instanceof NodeOutput output ? output.tokenUsage() : null;
            if (usage != null) {
                responses.add(new ChatResponse(
                        List.of(), ChatResponseMetadata.builder().usage(usage).build()));
            }
        }
        return responses;
    }
}
