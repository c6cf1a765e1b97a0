package io.fluxtally.usage.chat;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/**
 * What a client's figures mean where its model runs a tool loop inside, so that one answer has several responses behind
 * it. Found by where the client's classes come from; read off Spring AI 1.1.2 and 1.1.8 and DashScope's client 1.1.2.2.
 */
enum ClientHabit {
    /** A figure is the sum of all rounds up to it. */
    RUNNING_TOTALS(
            "org.springframework.ai.openai.",
            "org.springframework.ai.azure.openai.",
            "com.azure.ai.openai.",
            "org.springframework.ai.anthropic.",
            "org.springframework.ai.deepseek.",
            "org.springframework.ai.mistralai.",
            "org.springframework.ai.ollama.",
            "org.springframework.ai.google.genai.",
            "com.google.genai.",
            "org.springframework.ai.bedrock.",
            "software.amazon.awssdk.services.bedrockruntime."),
    /** A figure is that of its own round; the rounds before it may never be seen. */
    OWN_FIGURES(
            "com.alibaba.cloud.ai.dashscope.", "org.springframework.ai.zhipuai.", "org.springframework.ai.minimax."),
    /** Nothing is known. */
    UNKNOWN;

    /**
     * Clients whose input leaves out what was read from a cache or written to it, without their total telling. Anthropic's
     * record has these counts, but in a stream they are those of its start, which the end may correct.
     */
    private static final List<String> LEAVES_TOKENS_OUT = List.of("org.springframework.ai.anthropic.");

    /** Clients that make a new figure, and a new record, of what they carry over from the round before. */
    private static final List<String> CARRIES_COPIES = List.of("software.amazon.awssdk.services.bedrockruntime.");

    /** Clients that name a reason for the end on every chunk, so that it says nothing. */
    private static final List<String> ALWAYS_FINISHES =
            List.of("org.springframework.ai.google.genai.", "com.google.genai.");

    private final List<String> packages;

    ClientHabit(String... packages) {
        this.packages = List.of(packages);
    }

    /** The habit of the client that a class belongs to, or of none. */
    static ClientHabit of(@Nullable Class<?> type) {
        for (ClientHabit habit : values()) {
            if (isOf(type, habit.packages)) {
                return habit;
            }
        }
        return UNKNOWN;
    }

    /** The class of the client's own record behind a usage, or null if it has none. */
    static @Nullable Class<?> recordType(@Nullable Usage usage) {
        Object record = usage == null ? null : usage.getNativeUsage();
        return record == null ? null : record.getClass();
    }

    /** Whether a usage is what a provider said of one response: it has the client's own record of that. */
    static boolean isOwnRecord(@Nullable Usage usage) {
        return of(recordType(usage)) != UNKNOWN;
    }

    /** Whether the input that a client reports lacks some. */
    static boolean leavesTokensOut(@Nullable Class<?> type) {
        return isOf(type, LEAVES_TOKENS_OUT);
    }

    /** Whether a client names a reason for the end though there is none. */
    static boolean alwaysFinishes(@Nullable Class<?> type) {
        return isOf(type, ALWAYS_FINISHES);
    }

    /** Whether a figure that a client carries over is a copy, and not the very same object. */
    static boolean carriesCopies(@Nullable Class<?> type) {
        return isOf(type, CARRIES_COPIES);
    }

    private static boolean isOf(@Nullable Class<?> type, List<String> packages) {
        return type != null && packages.stream().anyMatch(type.getName()::startsWith);
    }

    /**
     * Whether rounds may be behind an answer of which no chunk tells.
     *
     * @param runsTools whether the model may run tools by itself, or null if that is not known
     */
    boolean hidesRounds(@Nullable Boolean runsTools) {
        return switch (this) {
            case RUNNING_TOTALS -> false;
            case OWN_FIGURES -> !Boolean.FALSE.equals(runsTools);
            case UNKNOWN -> Boolean.TRUE.equals(runsTools);
        };
    }
}
