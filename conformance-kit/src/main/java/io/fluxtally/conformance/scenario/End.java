package io.fluxtally.conformance.scenario;

import java.util.Locale;

/** What the provider does once a response's body is out. */
public enum End {
    /** It ends the response as HTTP asks for. */
    COMPLETE,
    /** It resets the TCP connection, the response unfinished. */
    RESET,
    /** It keeps the response open until the client leaves. */
    HANG;

    /** The word that stands for this constant in a scenario file. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
