package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.streaming.GraphFlux;
import com.alibaba.cloud.ai.graph.streaming.ParallelGraphFlux;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
import reactor.core.publisher.Flux;

/** What a node's action results in, with its streams in the node's scope. */
final class NodeResults {

    /** The key under which a node says what it used; the graph takes it out of the state. */
    private static final String TOKEN_USAGE = "_TOKEN_USAGE_";

    private final NodeRun node;
    private final String actionName;
    private final Instant start = Instant.now();
    private final long startNanos = System.nanoTime();

    /**
     * The results of a node that starts now.
     *
     * @param actionName the simple name of the class of its action
     */
    NodeResults(NodeRun node, String actionName) {
        this.node = node;
        this.actionName = actionName;
    }

    /** The result of the action, on whose completion the graph goes on in its run's scope. */
    @Nullable
    CompletableFuture<Map<String, Object>> of(@Nullable CompletableFuture<Map<String, Object>> result) {
        if (result == null || result.isCompletedExceptionally()) {
            return result;
        }
        if (result.isDone()) {
            Map<String, Object> values = result.join();
            Map<String, Object> scoped = scoped(values);
            return scoped == values ? result : CompletableFuture.completedFuture(scoped);
        }
        CompletableFuture<Map<String, Object>> inGraph = new CompletableFuture<>();
        result.whenComplete((values, error) -> {
            RunThread.Frame frame = RunThread.bind(node.run());
            try {
                if (error != null) {
                    inGraph.completeExceptionally(error);
                } else {
                    inGraph.complete(scoped(values));
                }
            } finally {
                RunThread.unbind(frame);
            }
        });
        inGraph.whenComplete((values, error) -> {
            if (inGraph.isCancelled()) {
                result.cancel(true);
            }
        });
        return inGraph;
    }

    private Map<String, Object> scoped(Map<String, Object> values) {
        if (values == null) {
            return values;
        }
        try {
            bookWhatOnlyTheNodeSays(values.get(TOKEN_USAGE));
            Map<String, Object> scoped = null;
            for (Map.Entry<String, Object> entry : values.entrySet()) {
                Object value = inNode(entry.getValue());
                if (value != entry.getValue()) {
                    if (scoped == null) {
                        // The graph takes the first stream that it finds, so that the order is to be kept.
                        scoped = new LinkedHashMap<>(values);
                    }
                    scoped.put(entry.getKey(), value);
                }
            }
            return scoped == null ? values : scoped;
        } catch (Throwable failure) {
            MeasuringFailures.report("the result of a node", failure);
            return values;
        }
    }

    private @Nullable Object inNode(@Nullable Object value) {
        if (value instanceof NodeFlux) {
            return value;
        }
        if (value instanceof Flux<?> flux) {
            return NodeFlux.of(flux, node, actionName);
        }
        if (value instanceof GraphFlux<?> flux) {
            return inNode(flux);
        }
        if (value instanceof ParallelGraphFlux parallel) {
            List<GraphFlux<?>> branches = new ArrayList<>();
            parallel.getGraphFluxes().forEach(branch -> branches.add(inNode(branch)));
            return ParallelGraphFlux.of(branches, parallel.getMetadata());
        }
        return value;
    }

    /** A branch is in its own node already; a parallel node has named its outputs, partly after the class of its action. */
    private <T> GraphFlux<T> inNode(GraphFlux<T> stream) {
        String name = stream.getNodeId();
        NodeFlux<T> flux;
        if (stream.getFlux() instanceof NodeFlux<T> branch) {
            flux = branch;
            String ours = "_" + ScopedAction.class.getSimpleName();
            if (name != null && name.endsWith(ours)) {
                name = name.substring(0, name.length() - ours.length() + 1) + branch.actionName();
            }
        } else {
            flux = NodeFlux.of(stream.getFlux(), node, actionName);
        }
        if (name != null && !name.isEmpty()) {
            node.run().show(name, flux.node().in(node.state()));
        }
        @SuppressWarnings("unchecked") // which GraphFlux forgets
        Function<T, ?> mapResult = stream.getMapResult();
        Function<Object, String> chunkResult = stream.getChunkResult();
        return GraphFlux.of(name, stream.getKey(), flux, mapResult, chunkResult == null ? null : chunkResult::apply);
    }

    /**
     * An agent's blocking call whose model nobody captures leaves its usage in the result, and nothing else. Other nodes may put there
     * what they please, such as a total.
     */
    private void bookWhatOnlyTheNodeSays(@Nullable Object said) {
        node.run().heard(said);
        RunScope scope = node.scope();
        if (!(said instanceof Usage usage)
                || scope.node() == null
                || !GraphRun.isAgentNode(scope.node(), RunnableConfig.AGENT_MODEL_NAME)
                || scope.usage().sum().requests() > 0
                || scope.usage().inFlight() > 0) {
            return;
        }
        TokenUsage tokens = ChatUsage.tokensOf(usage);
        if (tokens != null) {
            node.run()
                    .recorder()
                    .book(
                            scope,
                            ModelCall.newRequest(scope, start)
                                    .usage(tokens, UsageSource.REPORTED)
                                    .duration(Duration.ofNanos(System.nanoTime() - startNanos))
                                    .build());
        }
    }
}
