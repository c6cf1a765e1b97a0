package io.fluxtally.benchmarks.graph;

import java.time.Duration;
import java.util.Objects;
import reactor.core.publisher.Mono;

/** Awaits what a run comes to, and refuses figures of a run that did not do its work. */
final class Outcome {

    /** Runs that stop answering are to be no result, not the end of the program. */
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    private Outcome() {}

    static long atLeast(long expected, Mono<Long> run) {
        long outcome = Objects.requireNonNull(run.block(PATIENCE), "outcome");
        if (outcome < expected) {
            throw new IllegalStateException("%d were expected, but there were %d".formatted(expected, outcome));
        }
        return outcome;
    }
}
