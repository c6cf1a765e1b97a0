package io.fluxtally.usage.wire.dialect;

import java.util.function.Predicate;

/**
 * What a dialect may know of a request: where it goes, and which headers it has. No values, no host, no body.
 *
 * @param method the HTTP method, in capitals
 * @param path the path without the query
 * @param hasHeader whether the request has a header of the given name
 */
public record RequestHead(String method, String path, Predicate<String> hasHeader) {}
