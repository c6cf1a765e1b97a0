package io.fluxtally.conformance.scenario;

import java.util.Locale;

/** How the app asks the model: in a stream or in one blocking call. */
public enum Mode {
    /** The model answers event by event. */
    STREAM,
    /** The model answers in one piece. */
    CALL;

    /** The word that stands for this constant in a scenario file. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
