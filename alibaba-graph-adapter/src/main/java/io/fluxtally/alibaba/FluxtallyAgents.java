package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.agent.Agent;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.agent.flow.agent.FlowAgent;
import com.alibaba.cloud.ai.graph.agent.node.AgentToolNode;
import com.alibaba.cloud.ai.graph.agent.tools.task.BackgroundTask;
import com.alibaba.cloud.ai.graph.agent.tools.task.TaskRepository;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.tool.ToolCallback;

/**
 * Exact usage for the agents of Spring AI Alibaba.
 *
 * <pre>{@code
 * ReactAgent agent = FluxtallyAgents.instrument(ReactAgent.builder().name("weather").model(model).tools(tools).build());
 * }</pre>
 */
public final class FluxtallyAgents {

    private static final String PART = "the instrumentation of an agent";

    private FluxtallyAgents() {}

    /** {@link #instrument(Agent, UsageRecorder)} with the recorder of this process. */
    public static <A extends Agent> A instrument(A agent) {
        return instrument(agent, UsageRecorder.shared());
    }

    /**
     * Lets an agent, its sub-agents, and the agents that its tools run, run their graphs as {@link FluxtallyGraph}s. To be called
     * before the agent is made a node of a graph ({@code asNode()}), and before it runs; a second time it does nothing.
     *
     * <p>Nothing public leads to the graph that an agent compiles for itself, so that it is set by reflection, on the release that this
     * is known of; on another the agent stays as it is, and one warning says what to do.
     *
     * @param agent the agent
     * @param recorder where to book what is captured in its graphs themselves
     * @return the same agent
     */
    public static <A extends Agent> A instrument(A agent, UsageRecorder recorder) {
        AgentInternals internals = AgentInternals.known();
        if (internals != null) {
            new Instrumentation(internals, recorder).visit(agent);
        }
        return agent;
    }

    /**
     * The same repository of background tasks, whose tasks are booked to the run that started them, also after that has ended. For the
     * builder of task tools: {@code taskRepository(FluxtallyAgents.inRun(new DefaultTaskRepository()))}.
     */
    public static TaskRepository inRun(TaskRepository repository) {
        return new TaskRepository() {
            @Override
            public BackgroundTask getTask(String taskId) {
                return repository.getTask(taskId);
            }

            @Override
            public BackgroundTask putTask(String taskId, Supplier<String> taskExecution) {
                UsageScope scope = UsageScope.current();
                return repository.putTask(
                        taskId,
                        scope == null
                                ? taskExecution
                                : () -> {
                                    UsageScope.Binding binding = scope.bind();
                                    try (binding) {
                                        return taskExecution.get();
                                    }
                                });
            }

            @Override
            public void removeTask(String taskId) {
                repository.removeTask(taskId);
            }

            @Override
            public void clear() {
                repository.clear();
            }
        };
    }

    /** One pass over an agent and all that are behind it. */
    private static final class Instrumentation {

        private final AgentInternals internals;
        private final UsageRecorder recorder;
        private final Set<Agent> visited = Collections.newSetFromMap(new IdentityHashMap<>());

        Instrumentation(AgentInternals internals, UsageRecorder recorder) {
            this.internals = internals;
            this.recorder = recorder;
        }

        /** Returns whether the agent's graph is another one now. */
        boolean visit(@Nullable Agent agent) {
            if (agent == null || !visited.add(agent)) {
                return false;
            }
            try {
                boolean others = false;
                if (agent instanceof FlowAgent flow && flow.subAgents() != null) {
                    for (Agent subAgent : flow.subAgents()) {
                        others |= visit(subAgent);
                    }
                }
                if (agent instanceof ReactAgent react) {
                    visitTools(internals.toolNode(react));
                }
                if (others && internals.hasGraph(agent)) {
                    // It was built around what its sub-agents had before.
                    internals.forgetGraph(agent);
                }
                CompiledGraph compiled = agent.getAndCompileGraph();
                if (compiled instanceof FluxtallyGraph || !FluxtallyGraph.canBe(compiled)) {
                    return false;
                }
                internals.setGraph(agent, FluxtallyGraph.of(compiled, recorder, agent.name()));
                return true;
            } catch (Exception | LinkageError failure) {
                MeasuringFailures.report(PART, failure);
                return false;
            }
        }

        private void visitTools(@Nullable AgentToolNode node) throws IllegalAccessException {
            if (node == null || node.getToolCallbacks() == null) {
                return;
            }
            for (ToolCallback tool : node.getToolCallbacks()) {
                for (Agent agent : internals.agentsOf(tool)) {
                    visit(agent);
                }
            }
            internals.addFirst(node, ToolScopes.INSTANCE);
        }
    }
}
