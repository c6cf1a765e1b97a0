package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.agent.Agent;
import com.alibaba.cloud.ai.graph.agent.AgentTool;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.agent.interceptor.ToolInterceptor;
import com.alibaba.cloud.ai.graph.agent.node.AgentToolNode;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.ai.tool.method.MethodToolCallback;

/**
 * The insides of an agent that nothing public leads to, as spring-ai-alibaba-agent-framework 1.1.2.2 has them: the graph that it
 * compiles for itself, its tools, and the agents behind these. All reflection of this module is here.
 */
final class AgentInternals {

    private static final Logger LOG = LoggerFactory.getLogger(AgentInternals.class);

    /** The release whose insides these are. */
    private static final String VERSION = "1.1.2.2";

    private static final AtomicBoolean WARNED = new AtomicBoolean();
    private static final @Nullable AgentInternals KNOWN =
            find(Agent.class.getPackage().getImplementationVersion());

    private final Field compiledGraph;
    private final Field graph;
    private final Field toolNode;
    private final Field toolInterceptors;
    private final Field agentOfTool;
    private final Field toolObject;
    private final Field toolFunction;
    private final List<Field> taskAgents;

    private AgentInternals() throws ReflectiveOperationException {
        compiledGraph = field(Agent.class, "compiledGraph");
        graph = field(Agent.class, "graph");
        toolNode = field(ReactAgent.class, "toolNode");
        toolInterceptors = field(AgentToolNode.class, "toolInterceptors");
        agentOfTool = field(AgentTool.AgentToolExecutor.class, "agent");
        toolObject = field(MethodToolCallback.class, "toolObject");
        toolFunction = field(FunctionToolCallback.class, "toolFunction");
        taskAgents = List.of(
                field(com.alibaba.cloud.ai.graph.agent.tools.task.TaskTool.class, "subAgents"),
                field(com.alibaba.cloud.ai.graph.agent.extension.tools.model.TaskTool.class, "subAgents"));
    }

    private static Field field(Class<?> type, String name) throws ReflectiveOperationException {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    /** The insides of the agents that are there, or null if they are not those that are known. */
    static @Nullable AgentInternals known() {
        if (KNOWN == null && WARNED.compareAndSet(false, true)) {
            LOG.warn(
                    "Agents of spring-ai-alibaba-agent-framework {} keep their graph where it cannot be reached (known is {}). "
                            + "They stay as they are: open a RunScope around their runs, or run "
                            + "FluxtallyGraph.of(agent.getAndCompileGraph()) instead.",
                    Agent.class.getPackage().getImplementationVersion(),
                    VERSION);
        }
        return KNOWN;
    }

    /**
     * The insides of a release, or null if they are not known.
     *
     * @param version what the jar says, or null if it says nothing
     */
    static @Nullable AgentInternals find(@Nullable String version) {
        if (version != null && !version.equals(VERSION)) {
            return null;
        }
        try {
            return new AgentInternals();
        } catch (ReflectiveOperationException | RuntimeException | LinkageError moved) {
            LOG.debug("The insides of an agent are not where they were", moved);
            return null;
        }
    }

    void setGraph(Agent agent, CompiledGraph value) throws IllegalAccessException {
        compiledGraph.set(agent, value);
    }

    boolean hasGraph(Agent agent) throws IllegalAccessException {
        return graph.get(agent) != null;
    }

    /** Lets an agent build its graph anew when it is asked for it. */
    void forgetGraph(Agent agent) throws IllegalAccessException {
        compiledGraph.set(agent, null);
        graph.set(agent, null);
    }

    /** The node of an agent that calls its tools. */
    AgentToolNode toolNode(ReactAgent agent) throws IllegalAccessException {
        return (AgentToolNode) toolNode.get(agent);
    }

    /** Lets an interceptor stand around those that a node has. */
    void addFirst(AgentToolNode node, ToolInterceptor interceptor) throws IllegalAccessException {
        List<ToolInterceptor> interceptors = new ArrayList<>();
        interceptors.add(interceptor);
        if (toolInterceptors.get(node) instanceof List<?> present) {
            if (present.contains(interceptor)) {
                return;
            }
            present.forEach(other -> interceptors.add((ToolInterceptor) other));
        }
        node.setToolInterceptors(interceptors);
    }

    /** The agents that a tool runs. */
    List<Agent> agentsOf(ToolCallback tool) throws IllegalAccessException {
        Object work = null;
        if (tool instanceof MethodToolCallback method) {
            work = toolObject.get(method);
        } else if (tool instanceof FunctionToolCallback<?, ?> function) {
            work = toolFunction.get(function);
        }
        List<Agent> agents = new ArrayList<>();
        if (work instanceof AgentTool.AgentToolExecutor executor) {
            agents.add((Agent) agentOfTool.get(executor));
        }
        for (Field subAgents : taskAgents) {
            if (subAgents.getDeclaringClass().isInstance(work) && subAgents.get(work) instanceof Map<?, ?> map) {
                map.values().forEach(agent -> agents.add((Agent) agent));
            }
        }
        return agents;
    }
}
