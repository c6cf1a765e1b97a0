package io.fluxtally.usage;

import java.time.Duration;
import java.time.Instant;
import java.util.Collections;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * One booked request: one HTTP request to a provider and its response, the unit that is billed.
 *
 * <p>It holds figures and labels only: no prompt, no answer, no key. A label that is not known is null.
 *
 * @param requestId this request's own id, unique; adding two with the same id to a tally adds one
 * @param runId the run it belongs to, or null for a request that was made outside any run
 * @param callId the model call it was made for, or null if it was made outside a call that Fluxtally saw
 * @param responseId the provider's id of the response
 * @param agent the agent that asked
 * @param node the graph node that asked
 * @param round the turn of the agent's loop, from 1
 * @param attempt which try this was, from 1; more than 1 after a try that failed
 * @param labels what else the app says of it, by name, such as {@link #CONVERSATION} and {@link #USER}, sorted; empty if
 *     it says nothing. Identifiers, never text
 * @param provider the provider's family as its wire format tells it, such as {@code dashscope} or {@code openai}
 * @param requestModel the model asked for
 * @param responseModel the model that answered, by its own account
 * @param usage the tokens, or null exactly if the source is {@link UsageSource#MISSING}
 * @param reported the figures that the usage was made of as the provider reported them, before they were made inclusive,
 *     and others beside them (searches, images, seconds), by the provider's own names such as {@code usage.input_tokens},
 *     sorted; of one response the last of each. Whole numbers only, at most 64 from a response, empty if none were seen.
 *     Not all of them are tokens, and they are not to be added up over requests unless one knows what they mean
 * @param source where the figure comes from
 * @param outcome how the request ended
 * @param start when the request was sent
 * @param timeToFirstChunk from the start to the first byte of the response's body, or null if none came
 * @param duration from the start to the end of the response
 */
public record RequestUsage(
        String requestId,
        @Nullable String runId,
        @Nullable String callId,
        @Nullable String responseId,
        @Nullable String agent,
        @Nullable String node,
        @Nullable Integer round,
        int attempt,
        Map<String, String> labels,
        @Nullable String provider,
        @Nullable String requestModel,
        @Nullable String responseModel,
        @Nullable TokenUsage usage,
        Map<String, Long> reported,
        UsageSource source,
        RequestOutcome outcome,
        Instant start,
        @Nullable Duration timeToFirstChunk,
        Duration duration) {

    /** The label that names the conversation a request belongs to. */
    public static final String CONVERSATION = "conversation";

    /** The label that names the user a request was made for. */
    public static final String USER = "user";

    /** The label that names the tenant a request was made for. */
    public static final String TENANT = "tenant";

    /**
     * Checks what holds for every request.
     *
     * @throws IllegalArgumentException if usage is given for a missing figure or lacking for another, or an ordinal is
     *     not positive
     */
    public RequestUsage {
        Objects.requireNonNull(requestId, "requestId");
        labels = labels.isEmpty() ? Map.of() : Collections.unmodifiableMap(new TreeMap<>(labels));
        reported = Collections.unmodifiableMap(new TreeMap<>(reported));
        Objects.requireNonNull(source, "source");
        Objects.requireNonNull(outcome, "outcome");
        Objects.requireNonNull(start, "start");
        Objects.requireNonNull(duration, "duration");
        if ((usage == null) != (source == UsageSource.MISSING)) {
            throw new IllegalArgumentException(
                    "usage must be null exactly if source is MISSING, but source is %s and usage is %s"
                            .formatted(source, usage));
        }
        if (attempt < 1) {
            throw new IllegalArgumentException("attempt must be 1 or more, but is " + attempt);
        }
        if (round != null && round < 1) {
            throw new IllegalArgumentException("round must be 1 or more, but is " + round);
        }
    }

    /** The model this request is counted under: the one that answered, else the one asked for, else null. */
    public @Nullable String model() {
        return responseModel != null ? responseModel : requestModel;
    }

    /** A builder for a request that was sent at the given time. */
    public static Builder builder(String requestId, Instant start) {
        return new Builder(requestId, start);
    }

    /** A builder that has all of this request, to build one that differs from it. */
    public Builder toBuilder() {
        Builder copy = new Builder(requestId, start);
        copy.runId = runId;
        copy.callId = callId;
        copy.responseId = responseId;
        copy.agent = agent;
        copy.node = node;
        copy.round = round;
        copy.attempt = attempt;
        copy.labels = labels;
        copy.provider = provider;
        copy.requestModel = requestModel;
        copy.responseModel = responseModel;
        copy.usage = usage;
        copy.reported = reported;
        copy.source = source;
        copy.outcome = outcome;
        copy.timeToFirstChunk = timeToFirstChunk;
        copy.duration = duration;
        return copy;
    }

    /** Collects what is known of a request. Not safe for use by several threads. */
    public static final class Builder {

        private final String requestId;
        private final Instant start;
        private @Nullable String runId;
        private @Nullable String callId;
        private @Nullable String responseId;
        private @Nullable String agent;
        private @Nullable String node;
        private @Nullable Integer round;
        private int attempt = 1;
        private Map<String, String> labels = Map.of();
        private @Nullable String provider;
        private @Nullable String requestModel;
        private @Nullable String responseModel;
        private @Nullable TokenUsage usage;
        private Map<String, Long> reported = Map.of();
        private UsageSource source = UsageSource.MISSING;
        private RequestOutcome outcome = RequestOutcome.COMPLETED;
        private @Nullable Duration timeToFirstChunk;
        private Duration duration = Duration.ZERO;

        private Builder(String requestId, Instant start) {
            this.requestId = requestId;
            this.start = start;
        }

        /** Sets the run. */
        public Builder runId(@Nullable String value) {
            this.runId = value;
            return this;
        }

        /** Sets the model call. */
        public Builder callId(@Nullable String value) {
            this.callId = value;
            return this;
        }

        /** Sets the provider's id of the response; an empty one is none. */
        public Builder responseId(@Nullable String value) {
            this.responseId = emptyToNull(value);
            return this;
        }

        /** Sets the agent. */
        public Builder agent(@Nullable String value) {
            this.agent = value;
            return this;
        }

        /** Sets the node. */
        public Builder node(@Nullable String value) {
            this.node = value;
            return this;
        }

        /** Sets the round, from 1. */
        public Builder round(@Nullable Integer value) {
            this.round = value;
            return this;
        }

        /** Sets the attempt, from 1; 1 unless set. */
        public Builder attempt(int value) {
            this.attempt = value;
            return this;
        }

        /** Sets what else the app says of it, by name; nothing unless set. */
        public Builder labels(Map<String, String> value) {
            this.labels = value;
            return this;
        }

        /** Sets the provider's family. */
        public Builder provider(@Nullable String value) {
            this.provider = value;
            return this;
        }

        /** Sets the model asked for; an empty one is none. */
        public Builder requestModel(@Nullable String value) {
            this.requestModel = emptyToNull(value);
            return this;
        }

        /** Sets the model that answered; an empty one is none. */
        public Builder responseModel(@Nullable String value) {
            this.responseModel = emptyToNull(value);
            return this;
        }

        /** Sets the figure and where it comes from; {@code MISSING} and no usage unless set. */
        public Builder usage(@Nullable TokenUsage value, UsageSource from) {
            this.usage = value;
            this.source = from;
            return this;
        }

        /** Sets the figures as the provider reported them, by its own names; none unless set. */
        public Builder reported(Map<String, Long> value) {
            this.reported = value;
            return this;
        }

        /** Sets how the request ended; {@code COMPLETED} unless set. */
        public Builder outcome(RequestOutcome value) {
            this.outcome = value;
            return this;
        }

        /** Sets the time to the first byte of the body. */
        public Builder timeToFirstChunk(@Nullable Duration value) {
            this.timeToFirstChunk = value;
            return this;
        }

        /** Sets the time to the end of the response. */
        public Builder duration(Duration value) {
            this.duration = value;
            return this;
        }

        /** The request as collected so far. */
        public RequestUsage build() {
            return new RequestUsage(
                    requestId,
                    runId,
                    callId,
                    responseId,
                    agent,
                    node,
                    round,
                    attempt,
                    labels,
                    provider,
                    requestModel,
                    responseModel,
                    usage,
                    reported,
                    source,
                    outcome,
                    start,
                    timeToFirstChunk,
                    duration);
        }

        private static @Nullable String emptyToNull(@Nullable String value) {
            return value == null || value.isEmpty() ? null : value;
        }
    }
}
