package io.fluxtally.usage.observation;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.ObservationView;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.model.observation.ModelObservationContext;
import org.springframework.ai.tool.observation.ToolCallingObservationContext;
import reactor.util.context.ContextView;

/** The search for the observation that is open where a request is made. */
final class OpenObservations {

    private OpenObservations() {}

    /** The chat model's observation that a request with the given contexts is made in, or null. */
    static @Nullable ChatModelObservationContext chat(
            Iterable<? extends ContextView> contexts, ObservationRegistry registry) {
        Observation.ContextView found = nearest(inContexts(contexts));
        if (found == null) {
            found = nearest(onThread(registry));
        }
        return found instanceof ChatModelObservationContext chat ? chat : null;
    }

    /**
     * A {@code WebClient} that is not observed puts an observation into its own context that does nothing and knows no parent
     * ({@code DefaultWebClient} of Spring 6.2), so that only the contexts around it have the one that is looked for.
     */
    private static @Nullable Observation inContexts(Iterable<? extends ContextView> contexts) {
        for (ContextView context : contexts) {
            Object value = context.getOrDefault(ObservationThreadLocalAccessor.KEY, null);
            if (!(value instanceof Observation observation)) {
                return null;
            }
            if (!observation.isNoop()) {
                return observation;
            }
        }
        return null;
    }

    /** So does a {@code RestClient} with the thread's scope ({@code DefaultRestClient} of Spring 6.2). */
    private static @Nullable Observation onThread(ObservationRegistry registry) {
        Observation.Scope scope = registry.getCurrentObservationScope();
        while (scope != null) {
            Observation observation = scope.getCurrentObservation();
            if (observation == null || !observation.isNoop()) {
                return observation;
            }
            scope = scope.getPreviousObservationScope();
        }
        return null;
    }

    /** Of an observation and those around it the innermost one of Spring AI that requests can belong to, or null. */
    private static Observation.@Nullable ContextView nearest(@Nullable ObservationView innermost) {
        ObservationView observation = innermost;
        while (observation != null) {
            Observation.ContextView context = observation.getContextView();
            if (context instanceof ModelObservationContext<?, ?> || context instanceof ToolCallingObservationContext) {
                return context;
            }
            observation = context.getParentObservation();
        }
        return null;
    }
}
