package io.fluxtally.usage.observation;

import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.micrometer.common.KeyValue;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationFilter;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.stream.Collectors;
import org.springframework.ai.chat.observation.ChatModelObservationContext;

/**
 * Puts on Spring AI's observation of a chat model what the requests made in it came to, as {@link ChatObservationListener} was told
 * of them: in a loop of tools, and after an error or a cancel, too. To be registered as
 * {@code registry.observationConfig().observationFilter(filter)}.
 *
 * <p>High-cardinality key values, in tokens, in place of what Spring AI's convention says, which is cumulative or lost in a loop
 * of tools: {@code gen_ai.usage.input_tokens}, {@code gen_ai.usage.output_tokens}, {@code gen_ai.usage.total_tokens} (no name of
 * OpenTelemetry's, but one of Spring AI's, whose readers would else see it disagree),
 * {@code gen_ai.usage.cache_read.input_tokens} and {@code gen_ai.usage.cache_creation.input_tokens} (parts of the input), and
 * {@code fluxtally.usage.reasoning.output_tokens} (a part of the output; {@link Naming} has another name). What no provider
 * reported is absent, even if Spring AI says 0. Beside them {@code fluxtally.usage.source}, the sources of the figures, such as
 * {@code reported} or {@code reported,missing}, {@code fluxtally.usage.requests}, and {@code fluxtally.usage.unreported}, how
 * many of the requests have no final figure.
 *
 * <p>Each request is in one observation, the innermost, so the observations of a run's models add up to the run. One in which no
 * request was seen stays as it is. A request that is open when its observation stops, because the client did not pass on that
 * the app left, is booked then; one that is booked still later, because it is drained, is not in the observation.
 *
 * <p>Safe for use by any number of threads.
 */
public final class ChatUsageObservationFilter implements ObservationFilter {

    private static final String PART = "the filter of chat observations";

    private static final String INPUT = "gen_ai.usage.input_tokens";
    private static final String OUTPUT = "gen_ai.usage.output_tokens";
    private static final String TOTAL = "gen_ai.usage.total_tokens";
    private static final String CACHE_READ = "gen_ai.usage.cache_read.input_tokens";
    private static final String CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens";
    private static final String REASONING = "fluxtally.usage.reasoning.output_tokens";
    private static final String SOURCE = "fluxtally.usage.source";
    private static final String REQUESTS = "fluxtally.usage.requests";
    private static final String UNREPORTED = "fluxtally.usage.unreported";

    /** How key values are named for which OpenTelemetry's conventions are still moving. */
    public enum Naming {
        /** In a namespace of Fluxtally's: {@code fluxtally.usage.reasoning.output_tokens}. */
        NATIVE,
        /**
         * As in the conventions of OpenTelemetry 1.41, the last that had them: {@code gen_ai.usage.reasoning.output_tokens}.
         */
        OTEL
    }

    private final String reasoningKey;

    /** A filter that names reasoning in Fluxtally's namespace; any number of observations can share it. */
    public ChatUsageObservationFilter() {
        this(Naming.NATIVE);
    }

    /** A filter; any number of observations can share it. */
    public ChatUsageObservationFilter(Naming naming) {
        reasoningKey = naming == Naming.OTEL ? "gen_ai.usage.reasoning.output_tokens" : REASONING;
    }

    @Override
    public Observation.Context map(Observation.Context context) {
        if (context instanceof ChatModelObservationContext) {
            try {
                ObservedRequests requests = ObservedRequests.in(context);
                if (requests != null) {
                    requests.end();
                    write(requests, context);
                }
            } catch (Throwable failure) {
                // Micrometer would throw it at the app.
                MeasuringFailures.report(PART, failure);
            }
        }
        return context;
    }

    private void write(ObservedRequests requests, Observation.Context context) {
        UsageSum sum = requests.sum();
        if (sum.requests() == 0) {
            return;
        }
        boolean known = !sum.isUnknown();
        TokenUsage total = sum.total();
        put(context, INPUT, known ? OptionalLong.of(total.inputTokens()) : OptionalLong.empty());
        put(context, OUTPUT, known ? OptionalLong.of(total.outputTokens()) : OptionalLong.empty());
        put(context, TOTAL, known ? OptionalLong.of(total.totalTokens()) : OptionalLong.empty());
        put(context, CACHE_READ, total.part(TokenPart.CACHE_READ_INPUT));
        put(context, CACHE_CREATION, total.part(TokenPart.CACHE_CREATION_INPUT));
        put(context, reasoningKey, total.part(TokenPart.REASONING_OUTPUT));
        put(context, REQUESTS, OptionalLong.of(sum.requests()));
        put(context, UNREPORTED, OptionalLong.of(sum.unreported()));
        context.addHighCardinalityKeyValue(KeyValue.of(
                SOURCE,
                requests.sources().stream()
                        .map(ChatUsageObservationFilter::name)
                        .collect(Collectors.joining(","))));
    }

    private static String name(UsageSource source) {
        return source.name().toLowerCase(Locale.ROOT);
    }

    private static void put(Observation.Context context, String key, OptionalLong value) {
        if (value.isPresent()) {
            context.addHighCardinalityKeyValue(KeyValue.of(key, Long.toString(value.getAsLong())));
        } else {
            context.removeHighCardinalityKeyValue(key);
        }
    }
}
