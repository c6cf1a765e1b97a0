package io.fluxtally.conformance.scenario;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;

/**
 * The token figures that a bill states, in the order of the file.
 *
 * <p>A key that is not in the map is not stated, and so not checked. A key with an empty value states that the figure must be
 * absent: the provider did not report it. Immutable.
 *
 * @param stated figures in tokens, 0 or more, by key
 */
public record Figures(Map<TokenKey, OptionalLong> stated) {

    /** The bill that states nothing. */
    public static final Figures NONE = new Figures(Map.of());

    /**
     * Copies the map.
     *
     * @throws IllegalArgumentException when a figure is negative
     */
    public Figures {
        stated.forEach((key, figure) -> {
            if (figure.isPresent() && figure.getAsLong() < 0) {
                throw new IllegalArgumentException(key.word() + " must be 0 or more, but is " + figure.getAsLong());
            }
        });
        stated = Collections.unmodifiableMap(new LinkedHashMap<>(stated));
    }

    /** Whether the bill says anything about this figure. */
    public boolean states(TokenKey key) {
        return stated.containsKey(key);
    }

    /** The stated figure in tokens; empty when it must be absent, and also when the bill says nothing about it. */
    public OptionalLong get(TokenKey key) {
        return stated.getOrDefault(key, OptionalLong.empty());
    }
}
