package io.fluxtally.usage.scope;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageLimits;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.context.Context;

/**
 * A run, or a labelled part of one: everything that is requested from a provider inside it is booked to its tally.
 *
 * <pre>{@code
 * RunScope run = RunScope.start();
 * Flux<ChatResponse> answer = run.wrap(model.stream(prompt));   // reactive
 * String text = run.call(() -> model.call("Hello"));            // blocking
 * run.usage().total();
 * }</pre>
 *
 * <p>Immutable and safe for use by any number of threads; the tally behind it is shared. A figure that arrives late is
 * booked late, never refused: a scope has no end.
 */
public final class RunScope implements UsageScope {

    private final String runId;
    private final RunTally tally;
    private final @Nullable String agent;
    private final @Nullable String node;
    private final @Nullable Integer round;
    private final int attempt;
    private final Map<String, String> labels;

    /** The model call that this scope was entered inside of, or null. */
    private final @Nullable ModelCall call;

    /** The limits that hold here, or null. */
    private final @Nullable RunLimiter limiter;

    private RunScope(
            String runId,
            RunTally tally,
            @Nullable String agent,
            @Nullable String node,
            @Nullable Integer round,
            int attempt,
            Map<String, String> labels,
            @Nullable ModelCall call,
            @Nullable RunLimiter limiter) {
        this.runId = runId;
        this.tally = tally;
        this.agent = agent;
        this.node = node;
        this.round = round;
        this.attempt = attempt;
        this.labels = labels;
        this.call = call;
        this.limiter = limiter;
    }

    /** A new run with an id of its own. */
    public static RunScope start() {
        return start(UUID.randomUUID().toString());
    }

    /** A new run with the given id. */
    public static RunScope start(String runId) {
        return new RunScope(
                Objects.requireNonNull(runId, "runId"), new RunTally(), null, null, null, 1, Map.of(), null, null);
    }

    /** A part of this run that counts from zero; what it counts is counted in this one too, once. */
    public RunScope branch() {
        return new RunScope(runId, tally.branch(), agent, node, round, attempt, labels, call, limiter);
    }

    /** The same scope for an agent's work. */
    public RunScope withAgent(@Nullable String name) {
        return new RunScope(runId, tally, name, node, round, attempt, labels, call, limiter);
    }

    /** The same scope for a node's work. */
    public RunScope withNode(@Nullable String name) {
        return new RunScope(runId, tally, agent, name, round, attempt, labels, call, limiter);
    }

    /** The same scope for one turn of an agent's loop, from 1. */
    public RunScope withRound(@Nullable Integer number) {
        return new RunScope(runId, tally, agent, node, number, attempt, labels, call, limiter);
    }

    /**
     * The same scope for work that is tried again, from 1; requests that fail inside it count on from there.
     *
     * @throws IllegalArgumentException if it is less than 1
     */
    public RunScope withAttempt(int number) {
        if (number < 1) {
            throw new IllegalArgumentException("attempt must be 1 or more, but is " + number);
        }
        return new RunScope(runId, tally, agent, node, round, number, labels, call, limiter);
    }

    /**
     * The same scope for work of which the app says something more, such as whose conversation it is.
     *
     * @param name what is said, such as {@link RequestUsage#CONVERSATION}
     * @param value an identifier, never a text of the conversation
     * @throws IllegalArgumentException if either is empty or too long, or there are too many labels
     */
    public RunScope withLabel(String name, String value) {
        return withLabels(ScopeLabels.with(labels, name, value));
    }

    private RunScope withLabels(Map<String, String> all) {
        return new RunScope(runId, tally, agent, node, round, attempt, all, call, limiter);
    }

    /**
     * The same scope, in which no more may be used than the given limits say: what its tally has and is to get, over all
     * branches made from this scope. Limits that hold here already go on to hold.
     *
     * <p>A {@code UsageChatModel}, and the wire tap of a {@code WebClient} or {@code RestClient}, refuse what goes beyond
     * with a {@code UsageLimitExceededException}; other requests are counted, but not refused.
     */
    public RunScope withLimits(UsageLimits limits) {
        return new RunScope(
                runId, tally, agent, node, round, attempt, labels, call, RunLimiter.of(runId, tally, limits, limiter));
    }

    /** The run's id; a branch has that of the run it is part of. */
    public String runId() {
        return runId;
    }

    @Nullable
    RunLimiter limiter() {
        return limiter;
    }

    /** The accumulator of this scope. */
    public RunTally tally() {
        return tally;
    }

    /** The agent's name, or null. */
    public @Nullable String agent() {
        return agent;
    }

    /** The node's name, or null. */
    public @Nullable String node() {
        return node;
    }

    /** The turn of the agent's loop, from 1, or null. */
    public @Nullable Integer round() {
        return round;
    }

    /** Which attempt at the work this is, from 1. */
    public int attempt() {
        return attempt;
    }

    @Override
    public Map<String, String> labels() {
        return labels;
    }

    /** What was used in this scope so far. */
    public RunUsage usage() {
        return tally.usage();
    }

    /** The tokens used in this scope so far: the total of {@link #usage()}. */
    public TokenUsage getTokenUsage() {
        return usage().total();
    }

    @Override
    public RunScope runScope() {
        return this;
    }

    @Override
    public @Nullable ModelCall modelCall() {
        return call;
    }

    /**
     * Entered inside a model call, the scope keeps it: what is answered in here may be that call's answer. It takes over the
     * labels of the scope around it that it has none of its own for.
     */
    @Override
    public Context writeTo(Context context) {
        UsageScope outer = context.getOrDefault(KEY, null);
        return context.put(KEY, inside(outer));
    }

    @Override
    public Binding bind() {
        return ThreadScope.bind(inside(UsageScope.current()));
    }

    private RunScope inside(@Nullable UsageScope outer) {
        if (outer == null) {
            return this;
        }
        ModelCall outerCall = outer.modelCall() == null ? call : outer.modelCall();
        Map<String, String> all = ScopeLabels.inside(outer.labels(), labels);
        return outerCall == call && all == labels
                ? this
                : new RunScope(runId, tally, agent, node, round, attempt, all, outerCall, limiter);
    }

    /** The given flux, each of whose subscriptions runs in this scope. */
    public <T> Flux<T> wrap(Flux<T> flux) {
        return flux.contextWrite(this::writeTo);
    }

    /** The given mono, each of whose subscriptions runs in this scope. */
    public <T> Mono<T> wrap(Mono<T> mono) {
        return mono.contextWrite(this::writeTo);
    }

    /** The given task, which runs in this scope on whatever thread runs it. */
    public Runnable wrap(Runnable task) {
        return () -> {
            Binding binding = bind();
            try (binding) {
                task.run();
            }
        };
    }

    /** The given executor, whose tasks run in this scope. */
    public Executor wrap(Executor executor) {
        return task -> executor.execute(wrap(task));
    }

    /**
     * Runs a task in this scope on the current thread.
     *
     * @throws Exception whatever the task throws
     */
    public <T extends @Nullable Object> T call(Callable<T> task) throws Exception {
        Binding binding = bind();
        try (binding) {
            return task.call();
        }
    }

    @Override
    public String toString() {
        return "RunScope[runId=%s, agent=%s, node=%s, round=%s, attempt=%d]"
                .formatted(runId, agent, node, round, attempt);
    }
}
