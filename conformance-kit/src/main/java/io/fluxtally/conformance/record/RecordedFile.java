package io.fluxtally.conformance.record;

import io.fluxtally.usage.UsageSum;
import java.nio.file.Path;

/**
 * A scenario file that was written, and what its requests reported. Immutable.
 *
 * @param path the file
 * @param usage the sum over its requests
 */
public record RecordedFile(Path path, UsageSum usage) {}
