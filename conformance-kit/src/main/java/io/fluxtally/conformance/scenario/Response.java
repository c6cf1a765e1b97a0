package io.fluxtally.conformance.scenario;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One HTTP response as the provider sends it. Immutable.
 *
 * @param status HTTP status, 200 to 599
 * @param headers extra headers in order; those that frame the body ({@code content-length}, {@code content-encoding},
 *     {@code transfer-encoding}, {@code connection}) are the server's own, and it leaves them out
 * @param body the body as it stands, sent in UTF-8
 * @param end what follows the body
 */
public record Response(int status, Map<String, String> headers, String body, End end) {

    /**
     * Copies the headers.
     *
     * @throws IllegalArgumentException when the status is not in 200 to 599
     */
    public Response {
        if (status < 200 || status > 599) {
            throw new IllegalArgumentException("status must be 200 to 599, but is " + status);
        }
        headers = Collections.unmodifiableMap(new LinkedHashMap<>(headers));
    }

    /** A response with status 200 and this body that ends as HTTP asks for. */
    public static Response of(String body) {
        return of(200, body);
    }

    /**
     * A response with this status and body that ends as HTTP asks for.
     *
     * @throws IllegalArgumentException when the status is not in 200 to 599
     */
    public static Response of(int status, String body) {
        return new Response(status, Map.of(), body, End.COMPLETE);
    }

    /** The same response with another end. */
    public Response endingWith(End other) {
        return new Response(status, headers, body, other);
    }
}
