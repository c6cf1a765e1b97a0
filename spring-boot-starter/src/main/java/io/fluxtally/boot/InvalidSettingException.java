package io.fluxtally.boot;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Says that a setting of Fluxtally is not what it has to be. An app that has one does not start. */
public final class InvalidSettingException extends IllegalArgumentException {

    private static final long serialVersionUID = 1L;

    private final String property;

    /**
     * The error of one setting.
     *
     * @param property the setting's name, such as {@code fluxtally.runs.keep}
     * @param rule what it must be, such as {@code be 0 or more}
     * @param value what it is
     */
    public InvalidSettingException(String property, String rule, @Nullable Object value) {
        super("%s must %s, but is %s".formatted(property, rule, value));
        this.property = Objects.requireNonNull(property, "property");
    }

    /** The setting's name. */
    public String property() {
        return property;
    }

    /**
     * Checks that a number is not below another.
     *
     * @throws InvalidSettingException if it is
     */
    public static void atLeast(String property, long min, long value) {
        if (value < min) {
            throw new InvalidSettingException(property, "be %d or more".formatted(min), value);
        }
    }
}
