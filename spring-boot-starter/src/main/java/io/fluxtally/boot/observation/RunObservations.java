package io.fluxtally.boot.observation;

import io.fluxtally.boot.runs.RunListener;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import java.util.Objects;
import reactor.util.context.ContextView;

/**
 * Opens an observation {@code fluxtally.run} around each run that an app opens, for what happens in the run to hang below.
 *
 * <p>Its key values are of high cardinality, and in a namespace of their own, so that nobody adds them to those of the models
 * inside: {@code fluxtally.run.id}, and when the run is closed {@code fluxtally.run.usage.input_tokens},
 * {@code .output_tokens}, {@code .total_tokens}, {@code .cache_read.input_tokens}, {@code .cache_creation.input_tokens} and
 * {@code .reasoning.output_tokens}, absent where no request reported them; {@code fluxtally.run.requests},
 * {@code fluxtally.run.unreported}, and {@code fluxtally.run.complete}, whether the total is exact. What is booked after that
 * is in the run and not in its observation. It carries no error: the message of one may hold a part of an answer.
 *
 * <p>Safe for use by any number of threads.
 */
public final class RunObservations implements RunListener {

    static final String PART = "the observation of a run";

    private final ObservationRegistry registry;

    /** Observes runs by the given registry. */
    public RunObservations(ObservationRegistry registry) {
        this.registry = Objects.requireNonNull(registry, "registry");
    }

    @Override
    public OpenRun opened(RunScope run, ContextView context) {
        try {
            Observation observation = Observation.createNotStarted("fluxtally.run", registry)
                    .highCardinalityKeyValue("fluxtally.run.id", run.runId());
            if (observation.isNoop()) {
                return OpenRun.NONE;
            }
            Observation around = context.getOrDefault(ObservationThreadLocalAccessor.KEY, null);
            if (around != null && !around.isNoop()) {
                observation.parentObservation(around);
            }
            return new RunObservation(observation.start(), registry);
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            return OpenRun.NONE;
        }
    }
}
