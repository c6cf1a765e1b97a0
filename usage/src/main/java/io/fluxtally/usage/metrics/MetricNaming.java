package io.fluxtally.usage.metrics;

import java.time.Duration;
import java.util.List;

/** How the meters of requests are named, and their tags. */
public enum MetricNaming {

    /** Names of our own, under {@code fluxtally}. */
    NATIVE(
            "fluxtally.request.duration",
            "fluxtally.request.time.to.first.chunk",
            List.of("provider", "request.model", "response.model", "operation", "agent", "outcome", "source"),
            List.of(),
            List.of()),

    /**
     * The names of OpenTelemetry's conventions for generative AI as of September 2026
     * (open-telemetry/semantic-conventions-genai, not yet released), for tokens and times. What they have no name for stays
     * under {@code fluxtally}, with the tags that they name.
     */
    OTEL(
            "gen_ai.client.inference.duration",
            "gen_ai.client.inference.time_to_first_chunk",
            List.of(
                    "gen_ai.provider.name",
                    "gen_ai.request.model",
                    "gen_ai.response.model",
                    "gen_ai.operation.name",
                    "gen_ai.agent.name",
                    "fluxtally.outcome",
                    "fluxtally.source"),
            // Required there; unknown is for figures that are not split by modality.
            List.of("gen_ai.token.modality", "unknown"),
            // The boundaries that the conventions ask for, in milliseconds: 0.01 s, doubled up to 81.92 s.
            List.of(10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 40960, 81920));

    private final String duration;
    private final String timeToFirstChunk;
    private final List<String> tagKeys;
    private final List<String> tokenTags;
    private final Duration[] buckets;

    MetricNaming(
            String duration,
            String timeToFirstChunk,
            List<String> tagKeys,
            List<String> tokenTags,
            List<Integer> bucketMillis) {
        this.duration = duration;
        this.timeToFirstChunk = timeToFirstChunk;
        this.tagKeys = tagKeys;
        this.tokenTags = tokenTags;
        this.buckets = bucketMillis.stream().map(Duration::ofMillis).toArray(Duration[]::new);
    }

    String duration() {
        return duration;
    }

    String timeToFirstChunk() {
        return timeToFirstChunk;
    }

    /** The keys of a request's tags, in the order of {@link RequestTags#values()}. */
    List<String> tagKeys() {
        return tagKeys;
    }

    /** Key and value of a tag that token counters have besides, or nothing. */
    String[] tokenTags() {
        return tokenTags.toArray(String[]::new);
    }

    /** The boundaries of the buckets that times are counted in; none leaves it to the registry. */
    Duration[] buckets() {
        return buckets.clone();
    }

    /** What a provider is called here. */
    String provider(String family) {
        if (this == NATIVE) {
            return family;
        }
        return switch (family) {
            case "bedrock" -> "aws.bedrock";
            // The wire is the same for both of Google's services.
            case "gemini" -> "gcp.gen_ai";
            default -> family;
        };
    }
}
