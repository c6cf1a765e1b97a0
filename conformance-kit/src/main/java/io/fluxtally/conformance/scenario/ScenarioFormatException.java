package io.fluxtally.conformance.scenario;

import org.jspecify.annotations.Nullable;

/**
 * A file that is not a scenario, and why: the message names the file, the line, the rule and the value, as in
 * {@code weather.yaml:7: mode must be stream or call, but is "streaming"}.
 */
public final class ScenarioFormatException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String file;

    private final int line;

    private final String rule;

    ScenarioFormatException(String file, int line, String rule, @Nullable Throwable cause) {
        super(line > 0 ? file + ":" + line + ": " + rule : file + ": " + rule, cause);
        this.file = file;
        this.line = line;
        this.rule = rule;
    }

    /** The file as the caller named it. */
    public String file() {
        return file;
    }

    /** The line, counted from 1; 0 when the file as a whole is at fault (it cannot be read, it is too long). */
    public int line() {
        return line;
    }

    /** The rule that is broken, and the value that breaks it. */
    public String rule() {
        return rule;
    }
}
