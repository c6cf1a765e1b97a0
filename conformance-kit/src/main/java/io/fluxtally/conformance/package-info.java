/**
 * The conformance kit's starter scenarios: recorded provider responses, each with its true bill.
 *
 * <p>{@link io.fluxtally.conformance.scenario} holds the values and reads the files,
 * {@link io.fluxtally.conformance.loopback} replays them over HTTP, {@link io.fluxtally.conformance.record} records new ones.
 */
@NullMarked
package io.fluxtally.conformance;

import org.jspecify.annotations.NullMarked;
