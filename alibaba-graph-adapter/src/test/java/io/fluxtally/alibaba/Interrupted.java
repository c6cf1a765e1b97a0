package io.fluxtally.alibaba;

import static com.alibaba.cloud.ai.graph.StateGraph.END;
import static com.alibaba.cloud.ai.graph.StateGraph.START;

import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.checkpoint.BaseCheckpointSaver;
import com.alibaba.cloud.ai.graph.checkpoint.config.SaverConfig;
import com.alibaba.cloud.ai.graph.checkpoint.savers.file.FileSystemSaver;
import io.fluxtally.usage.scope.MeasuringFailures;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** A graph of three nodes, 7,000 + 11,000 + 8,500 tokens, that is interrupted after its first. */
final class Interrupted {

    static final RunnableConfig THREAD =
            RunnableConfig.builder().threadId("thread").build();

    private Interrupted() {}

    static CompiledGraph graph(Kit kit, BaseCheckpointSaver saver, String... interruptBefore) throws Exception {
        return kit.compile(
                new StateGraph(Kit.keys())
                        .addNode("first", kit.asks(kit.model("first", Turn.says(5_000, 2_000, "Cl", "ouds"))))
                        .addNode("second", kit.asks(kit.model("second", Turn.says(8_000, 3_000, "Ra", "in"))))
                        .addNode("third", kit.asks(kit.model("third", Turn.says(6_000, 2_500, "S", "un"))))
                        .addEdge(START, "first")
                        .addEdge("first", "second")
                        .addEdge("second", "third")
                        .addEdge("third", END),
                CompileConfig.builder()
                        .saverConfig(SaverConfig.builder().register(saver).build())
                        .interruptBefore(interruptBefore)
                        .build());
    }

    static List<NodeOutput> start(CompiledGraph graph) {
        return graph.stream(Kit.question(), THREAD).collectList().block(Kit.PATIENCE);
    }

    static List<NodeOutput> resume(CompiledGraph graph) {
        return resume(graph, RunnableConfig.builder(THREAD).resume().build());
    }

    static List<NodeOutput> resume(CompiledGraph graph, RunnableConfig config) {
        return graph.stream(Map.of(), config).collectList().block(Kit.PATIENCE);
    }

    /** The first part, in a process of its own. */
    public static void main(String[] arguments) throws Exception {
        FileSystemSaver saver = FileSystemSaver.builder()
                .targetFolder(Path.of(arguments[0]))
                .stateSerializer(StateGraph.DEFAULT_JACKSON_SERIALIZER)
                .build();
        List<NodeOutput> outputs = start(graph(Kit.measured(true, UsageAt.USAGE_ONLY), saver, "second"));
        boolean right =
                MeasuringFailures.count() == 0 && Integer.valueOf(7_000).equals(Outputs.tokens(Outputs.last(outputs)));
        // The graph's threads would keep it.
        Runtime.getRuntime().halt(right ? 0 : 1);
    }
}
