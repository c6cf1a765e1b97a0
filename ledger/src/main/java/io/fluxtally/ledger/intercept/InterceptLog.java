package io.fluxtally.ledger.intercept;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * What interceptors of coding agents logged: one JSON object a line, of the form
 *
 * <pre>{@code
 * {"type":"token","ts":…,"id":"chatcmpl-1","model":"…","prompt_tokens":900,"cached_tokens":640,
 *  "completion_tokens":21,"reasoning_tokens":0,"total_tokens":921}
 * }</pre>
 *
 * <p>Of one id the last line counts: what comes before it are running totals. A figure that is not there, or {@code null}, is
 * absent, which is not 0. Lines of type {@code system_prompt} and of other types are counted and passed over; nothing of them
 * is kept, and they may be of any length. A line that breaks a rule is counted, reported by its number and the rule, and passed
 * over; nothing of its content is in the report. Blank lines are nothing.
 *
 * <p>In memory are one record for each id, and one line at a time while reading. Immutable and safe for use by any number of
 * threads.
 */
public final class InterceptLog {

    private final Map<String, InterceptRecord> byId;
    private final long tokenLines;
    private final long systemPrompts;
    private final long otherLines;
    private final long problems;

    private InterceptLog(Reading reading) {
        this.byId = Collections.unmodifiableMap(reading.byId);
        this.tokenLines = reading.tokenLines;
        this.systemPrompts = reading.systemPrompts;
        this.otherLines = reading.otherLines;
        this.problems = reading.problems;
    }

    /**
     * Reads a log. Problems are counted only.
     *
     * @throws IOException if it cannot be read
     */
    public static InterceptLog read(Path file) throws IOException {
        return read(List.of(file), problem -> {});
    }

    /**
     * Reads several logs as one, in the given order.
     *
     * @param listener told of each line that was passed over because it breaks a rule
     * @throws IOException if one of them cannot be read
     */
    public static InterceptLog read(List<Path> files, Consumer<? super InterceptProblem> listener) throws IOException {
        Reading reading = new Reading(listener);
        for (Path file : files) {
            reading.read(file);
        }
        return new InterceptLog(reading);
    }

    private static final class Reading {

        private final Consumer<? super InterceptProblem> listener;
        private final Map<String, InterceptRecord> byId = new LinkedHashMap<>();
        private long tokenLines;
        private long systemPrompts;
        private long otherLines;
        private long problems;

        Reading(Consumer<? super InterceptProblem> listener) {
            this.listener = listener;
        }

        void read(Path file) throws IOException {
            try (InputStream in = Files.newInputStream(file)) {
                BoundedLines lines = new BoundedLines(in);
                try {
                    for (long number = 1; lines.advance(); number++) {
                        if (!lines.isBlank()) {
                            take(file, number, InterceptLine.read(lines.line(), lines.length(), lines.isCut()));
                        }
                    }
                } finally {
                    lines.wipe();
                }
            }
        }

        private void take(Path file, long number, InterceptLine line) {
            if (line.isSystemPrompt()) {
                systemPrompts++;
                return;
            }
            if (line.isOther()) {
                otherLines++;
                return;
            }
            String fault = line.fault();
            if (fault != null) {
                problems++;
                listener.accept(new InterceptProblem(file, number, fault));
                return;
            }
            tokenLines++;
            InterceptRecord record = line.record(number);
            byId.put(record.id(), record);
        }
    }

    /** The record of a response, by the provider's id of it. */
    public Optional<InterceptRecord> find(String responseId) {
        return Optional.ofNullable(byId.get(responseId));
    }

    /** The records, one for each id, in the order in which the ids came up. */
    public Collection<InterceptRecord> records() {
        return byId.values();
    }

    /** How many lines with figures there were; more than records where ids came more than once. */
    public long tokenLines() {
        return tokenLines;
    }

    /** How many system prompts were passed over. */
    public long systemPrompts() {
        return systemPrompts;
    }

    /** How many lines of other types were passed over. */
    public long otherLines() {
        return otherLines;
    }

    /** How many lines broke a rule. */
    public long problems() {
        return problems;
    }

    /** How much there is, and no id. */
    @Override
    public String toString() {
        return "InterceptLog[records=%d, tokenLines=%d, systemPrompts=%d, otherLines=%d, problems=%d]"
                .formatted(byId.size(), tokenLines, systemPrompts, otherLines, problems);
    }
}
