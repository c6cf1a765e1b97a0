package io.fluxtally.usage.chat;

import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.EmptyUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;

/** Reads Spring AI's {@code Usage}, natively where a {@link NativeUsageReader} can. */
final class UsageReading {

    private static final String PART = "a native usage reader";

    /** A bound on the search, which a broken entry must not make endless. */
    private static final int MAX_READERS = 1_000;

    private static final List<NativeUsageReader> READERS = loadReaders();

    private UsageReading() {}

    /** The readers on the class path; one that cannot be loaded is left out. */
    private static List<NativeUsageReader> loadReaders() {
        List<NativeUsageReader> readers = new ArrayList<>();
        Iterator<NativeUsageReader> found = ServiceLoader.load(
                        NativeUsageReader.class, NativeUsageReader.class.getClassLoader())
                .iterator();
        for (int tries = 0; tries < MAX_READERS; tries++) {
            try {
                if (!found.hasNext()) {
                    break;
                }
                readers.add(found.next());
            } catch (ServiceConfigurationError broken) {
                MeasuringFailures.report(PART, broken);
            }
        }
        return List.copyOf(readers);
    }

    /**
     * The usage that a response carries, or null if it carries none. "None" has many forms in Spring AI: no metadata, no
     * usage, {@code EmptyUsage}, zeros, nulls.
     */
    static @Nullable TokenUsage of(ChatResponse response) {
        if (response.getMetadata() == null) {
            return null;
        }
        Usage usage = response.getMetadata().getUsage();
        return usage == null || usage instanceof EmptyUsage ? null : of(usage);
    }

    /**
     * Whether a usage holds a figure for certain, and does not change, so that it can be read later as well: where each
     * chunk has one, the last alone has to be.
     */
    static boolean canWait(@Nullable Usage usage) {
        return usage != null && usage.getClass() == DefaultUsage.class && usage.getTotalTokens() > 0;
    }

    /** A usage with all that its native form says, or null if it holds none. */
    static @Nullable TokenUsage inFull(@Nullable Usage usage) {
        if (usage == null) {
            return null;
        }
        TokenUsage recorded = usage instanceof TokenUsage ? null : NativeRecords.read(usage);
        return recorded == null ? of(usage) : recorded;
    }

    static @Nullable TokenUsage of(Usage usage) {
        if (usage instanceof TokenUsage own) {
            return own.totalTokens() == 0 ? null : own;
        }
        for (NativeUsageReader reader : READERS) {
            try {
                TokenUsage tokens = reader.read(usage);
                if (tokens != null) {
                    return tokens;
                }
            } catch (RuntimeException | LinkageError failure) {
                MeasuringFailures.report(PART, failure);
            }
        }
        long input = orZero(usage.getPromptTokens());
        long output = orZero(usage.getCompletionTokens());
        long total = totalOf(usage, input + output);
        return total == 0
                ? null
                : TokenUsage.builder()
                        .inputTokens(input)
                        .outputTokens(output)
                        .totalTokens(total)
                        .build();
    }

    /** The total as the client computes it; DashScope's throws where a count is null. */
    private static long totalOf(Usage usage, long otherwise) {
        try {
            Integer total = usage.getTotalTokens();
            return total == null || total <= 0 ? otherwise : total;
        } catch (NullPointerException lacksCounts) {
            return otherwise;
        }
    }

    private static long orZero(@Nullable Integer tokens) {
        return tokens == null || tokens < 0 ? 0 : tokens;
    }
}
