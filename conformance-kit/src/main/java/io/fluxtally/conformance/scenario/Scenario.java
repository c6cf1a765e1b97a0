package io.fluxtally.conformance.scenario;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a provider put on the wire, what the app did meanwhile, and what the provider bills for it. Immutable.
 *
 * @param name the scenario's name
 * @param family whose JSON the bodies are
 * @param client the real client that is to talk to the loopback provider
 * @param mode how the app asks
 * @param tools names of the tools that the app offers; each answers <code>{"ok":true}</code>
 * @param options extra request options by their name on the wire; a value is null, a {@link Boolean}, a {@link Long}, a
 *     {@link Double}, a {@link String}, or an unmodifiable {@link List} or {@link Map} of these
 * @param cancelAfter the number of elements after which the app cancels, 1 or more; null when it does not
 * @param responses one per HTTP request, in order
 * @param billed what all of that costs
 */
public record Scenario(
        String name,
        Family family,
        Client client,
        Mode mode,
        List<String> tools,
        Map<String, @Nullable Object> options,
        @Nullable Integer cancelAfter,
        List<Response> responses,
        Bill billed) {

    /**
     * Copies the collections.
     *
     * @throws IllegalArgumentException when the name is blank, there is no response, or {@code cancelAfter} is less than 1
     */
    public Scenario {
        if (name.isBlank()) {
            throw new IllegalArgumentException("name must not be blank, but is \"" + name + "\"");
        }
        if (responses.isEmpty()) {
            throw new IllegalArgumentException("responses must have at least one response, but is empty");
        }
        if (cancelAfter != null && cancelAfter < 1) {
            throw new IllegalArgumentException("cancelAfter must be 1 or more, but is " + cancelAfter);
        }
        tools = List.copyOf(tools);
        options = Collections.unmodifiableMap(new LinkedHashMap<>(options));
        responses = List.copyOf(responses);
    }
}
