package io.fluxtally.ledger.intercept;

import java.nio.file.Path;

/**
 * A line of a log that was passed over, told by its place and the rule that it breaks, never by what is in it.
 *
 * @param file the log
 * @param line the line, counted from 1
 * @param rule what a line must be
 */
public record InterceptProblem(Path file, long line, String rule) {

    @Override
    public String toString() {
        return "%s:%d: %s".formatted(file, line, rule);
    }
}
