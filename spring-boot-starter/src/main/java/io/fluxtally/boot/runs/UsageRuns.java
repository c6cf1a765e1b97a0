package io.fluxtally.boot.runs;

import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.context.Context;
import reactor.util.context.ContextView;

/**
 * Opens runs around an app's code, and finds the current one. To be injected:
 *
 * <pre>{@code
 * Flux<String> answer = runs.track(chatClient.prompt(question).stream().content());   // each subscription is a run
 * String text = runs.track(() -> chatClient.prompt(question).call().content());      // blocking
 * TokenUsage used = runs.current().orElseThrow().getTokenUsage();                    // inside either
 * }</pre>
 *
 * <p>Where the end of a run is not the end of one publisher or task, it is opened and closed by hand, and the work is put into
 * its scope:
 *
 * <pre>{@code
 * try (UsageRun run = runs.open()) {
 *     String text = run.scope().call(() -> chatClient.prompt(question).call().content());
 *     TokenUsage used = run.getTokenUsage();
 * }
 * }</pre>
 *
 * <p>What is opened inside a run is part of that run: it counts from zero, under the same id, and is counted there too. Closing
 * it ends nothing but itself.
 *
 * <p>Safe for use by any number of threads.
 */
public final class UsageRuns {

    private static final int MAX_ID = 256;

    private final RunHistory history;
    private final RunListener listener;

    /** Runs that are remembered by the given history. */
    public UsageRuns(RunHistory history) {
        this(history, List.of());
    }

    /** Runs that are remembered by the given history, and that the given listeners are told of, in their order. */
    public UsageRuns(RunHistory history, List<? extends RunListener> listeners) {
        this.history = history;
        this.listener = new RunListeners(listeners);
    }

    /**
     * Opens a run, or a part of the run that the current thread works for. To be closed. The thread is not bound to it: what is
     * to be counted in it is done in its {@linkplain UsageRun#scope() scope}.
     */
    public UsageRun open() {
        return openIn(UsageScope.current(), Context.empty());
    }

    /**
     * Opens a run with an id of the app's, whatever is around it. To be closed. If a run of that id has ended already, it goes on
     * in the history, while what is returned counts from zero.
     *
     * @param runId an identifier of up to 256 characters, never a text of the conversation
     * @throws IllegalArgumentException if it is blank or too long, or a run with that id is open
     */
    public UsageRun open(String runId) {
        if (runId.isBlank() || runId.length() > MAX_ID) {
            throw new IllegalArgumentException("runId must not be blank and have %d characters or fewer, but has %d"
                    .formatted(MAX_ID, runId.length()));
        }
        return opened(RunScope.start(runId), Context.empty());
    }

    private UsageRun openIn(@Nullable UsageScope outer, ContextView context) {
        RunScope around = outer == null ? null : outer.runScope();
        return around == null ? opened(RunScope.start(), context) : new UsageRun(around.branch());
    }

    private UsageRun opened(RunScope scope, ContextView context) {
        AtomicReference<RunListener.OpenRun> told = new AtomicReference<>(RunListener.OpenRun.NONE);
        history.open(scope, () -> told.get().closed(scope.usage()));
        RunListener.OpenRun around = listener.opened(scope, context);
        told.set(around);
        return new UsageRun(scope, around, () -> {
            history.close(scope);
            around.closed(scope.usage());
        });
    }

    /** The same flux, each of whose subscriptions is a run. It is closed before the end is passed on. */
    public <T> Flux<T> track(Flux<T> flux) {
        return trackFlux(run -> flux);
    }

    /** A flux, each of whose subscriptions is a run that the given work is told of. */
    public <T> Flux<T> trackFlux(Function<? super UsageRun, ? extends Flux<T>> work) {
        return Flux.deferContextual(context -> Flux.using(
                () -> openIn(UsageScope.current(context), context),
                run -> Flux.defer(() -> work.apply(run)).contextWrite(run::writeTo),
                UsageRun::close));
    }

    /** The same mono, each of whose subscriptions is a run. It is closed before the end is passed on. */
    public <T> Mono<T> track(Mono<T> mono) {
        return trackMono(run -> mono);
    }

    /** A mono, each of whose subscriptions is a run that the given work is told of. */
    public <T> Mono<T> trackMono(Function<? super UsageRun, ? extends Mono<T>> work) {
        return Mono.deferContextual(context -> Mono.using(
                () -> openIn(UsageScope.current(context), context),
                run -> Mono.defer(() -> work.apply(run)).contextWrite(run::writeTo),
                UsageRun::close));
    }

    /**
     * Runs a task as a run on the current thread: {@code runs.track(() -> ...)}, or {@code runs.track(callable::call)}.
     *
     * @throws E whatever the task throws
     */
    public <T extends @Nullable Object, E extends Exception> T track(Task<T, E> task) throws E {
        UsageRun run = open();
        try (run) {
            UsageScope.Binding binding = run.bind();
            try (binding) {
                return task.run();
            }
        }
    }

    /** Work that returns something. */
    @FunctionalInterface
    public interface Task<T extends @Nullable Object, E extends Exception> {

        /**
         * Does the work.
         *
         * @throws E if it fails
         */
        T run() throws E;
    }

    /**
     * The run that the current thread works for, or empty if it works for none. Inside a part of a run that was opened
     * here, it is the whole; of one that a graph or an agent began itself, it is the part. Closing
     * it does nothing: that is for whoever opened it.
     */
    public Optional<UsageRun> current() {
        return of(UsageScope.current());
    }

    /** {@link #current()} for work with the given Reactor context. */
    public Optional<UsageRun> current(ContextView context) {
        return of(UsageScope.current(context));
    }

    /** The innermost scope may be a part of the run, which a graph has made; asked for is the whole. */
    private Optional<UsageRun> of(@Nullable UsageScope scope) {
        RunScope part = scope == null ? null : scope.runScope();
        if (part == null) {
            return Optional.empty();
        }
        RunScope whole = history.scope(part.runId());
        return Optional.of(new UsageRun(whole == null ? part : whole));
    }
}
