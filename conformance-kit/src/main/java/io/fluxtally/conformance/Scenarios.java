package io.fluxtally.conformance;

import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.ScenarioReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * The starter scenarios that come with the kit, found by name, in a stable order.
 *
 * <p>They are resources beside this class, listed in {@code scenarios/index.txt}, so that they are found inside a jar too. Stateless,
 * and so safe for use by many threads.
 */
public final class Scenarios {

    private static final String FOLDER = "scenarios/";

    private Scenarios() {}

    /** The names of all starter scenarios, in their order. */
    public static List<String> names() {
        return new String(resource("index.txt"), StandardCharsets.UTF_8)
                .lines()
                .filter(line -> !line.isBlank())
                .toList();
    }

    /**
     * Reads the starter scenario of this name.
     *
     * @throws IllegalArgumentException when there is none
     */
    public static Scenario load(String name) {
        if (!names().contains(name)) {
            throw new IllegalArgumentException("name must be one of " + names() + ", but is \"" + name + "\"");
        }
        return ScenarioReader.read(name + ".yaml", resource(name + ".yaml"));
    }

    /** Reads all starter scenarios, in the order of {@link #names()}. */
    public static List<Scenario> all() {
        return names().stream().map(Scenarios::load).toList();
    }

    private static byte[] resource(String file) {
        try (InputStream in = Scenarios.class.getResourceAsStream(FOLDER + file)) {
            if (in == null) {
                throw new IllegalStateException("resource " + FOLDER + file + " must be on the class path beside "
                        + Scenarios.class.getName() + ", but is missing");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException("resource " + FOLDER + file + " cannot be read", e);
        }
    }
}
