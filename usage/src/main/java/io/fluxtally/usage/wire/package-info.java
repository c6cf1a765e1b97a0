/**
 * The wire tap: reads usage out of HTTP responses as their bytes pass, without holding, copying or changing them.
 *
 * <p>What is here knows no HTTP client; {@code webclient} and {@code restclient} do. What it knows of providers is in
 * {@code dialect}.
 */
@NullMarked
package io.fluxtally.usage.wire;

import org.jspecify.annotations.NullMarked;
