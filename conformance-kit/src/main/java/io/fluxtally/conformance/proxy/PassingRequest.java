package io.fluxtally.conformance.proxy;

import io.netty.handler.codec.http.HttpHeaders;
import org.jspecify.annotations.Nullable;

/**
 * The head of a request that passes.
 *
 * @param run the name that its base URL gives it, or null
 * @param method the method
 * @param path its path at the proxy without that name, and without the query
 * @param headers its headers, not to be kept: there are keys among them
 */
public record PassingRequest(@Nullable String run, String method, String path, HttpHeaders headers) {}
