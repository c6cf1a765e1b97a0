package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.GraphLifecycleListener;
import com.alibaba.cloud.ai.graph.OverAllState;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.agent.interceptor.ToolCallExecutionContext;
import com.alibaba.cloud.ai.graph.agent.interceptor.ToolCallHandler;
import com.alibaba.cloud.ai.graph.agent.interceptor.ToolCallRequest;
import com.alibaba.cloud.ai.graph.agent.interceptor.ToolCallResponse;
import com.alibaba.cloud.ai.graph.agent.interceptor.ToolInterceptor;
import org.jspecify.annotations.Nullable;

/**
 * Lets the tools of an agent run in the scope of the node that calls them, when they run on a thread of their own.
 *
 * <p>While the tool node works, its execution lies in the context of its config, which is the app's notes of that run and goes
 * nowhere else: neither to a model, nor to a tool over a network, nor into a checkpoint.
 */
final class ToolScopes extends ToolInterceptor {

    static final ToolScopes INSTANCE = new ToolScopes();

    private static final String KEY = "io.fluxtally.alibaba.node.";

    private ToolScopes() {}

    @Override
    public String getName() {
        return "fluxtally";
    }

    /** Lays a node's execution ready for its tools. */
    static void offer(RunnableConfig config, OverAllState state, NodeRun node) {
        config.context().put(key(state), node);
    }

    /** Takes it back. */
    static void withdraw(RunnableConfig config, OverAllState state, NodeRun node) {
        config.context().remove(key(state), node);
    }

    /** A config may be shared by runs at once; their states are their own. */
    private static String key(OverAllState state) {
        return KEY + state.data().get(GraphLifecycleListener.EXECUTION_ID_KEY);
    }

    @Override
    public ToolCallResponse interceptToolCall(ToolCallRequest request, ToolCallHandler handler) {
        NodeRun node = RunThread.current() == null ? find(request) : null;
        if (node == null) {
            return handler.call(request);
        }
        RunThread.Frame frame = RunThread.bind(node);
        try {
            return handler.call(request);
        } finally {
            RunThread.unbind(frame);
        }
    }

    private static @Nullable NodeRun find(ToolCallRequest request) {
        ToolCallExecutionContext execution = request.getExecutionContext().orElse(null);
        return execution != null && execution.config().context().get(key(execution.state())) instanceof NodeRun node
                ? node
                : null;
    }
}
