package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.streaming.StreamingOutput;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/** What an app reads of its outputs, as issue 4488 and its kin do. */
final class Outputs {

    private Outputs() {}

    static List<NodeOutput> of(App app, Kit kit) throws Exception {
        return app.run(kit).collectList().block(Kit.PATIENCE);
    }

    static NodeOutput last(List<NodeOutput> outputs) {
        return outputs.get(outputs.size() - 1);
    }

    /** The tokens that an output carries, or null if it carries no usage. */
    static @Nullable Integer tokens(NodeOutput output) {
        Usage usage = output.tokenUsage();
        return usage == null ? null : usage.getTotalTokens();
    }

    /** The outputs that are marked finished. */
    static List<NodeOutput> finished(List<NodeOutput> outputs) {
        return outputs.stream()
                .filter(output -> output instanceof StreamingOutput<?> streaming
                        && streaming.getOutputType() != null
                        && streaming.getOutputType().name().endsWith("FINISHED"))
                .toList();
    }

    /** What an app gets that adds up the outputs that are marked finished. */
    static int sum(List<NodeOutput> outputs) {
        return finished(outputs).stream()
                .map(Outputs::tokens)
                .filter(tokens -> tokens != null)
                .mapToInt(Integer::intValue)
                .sum();
    }
}
