package io.fluxtally.conformance.scenario;

import io.fluxtally.usage.UsageSource;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a scenario bills, and so what an honest count of it has to say. Immutable.
 *
 * @param complete whether every request is {@link UsageSource#REPORTED}
 * @param total the sum over all requests of what was reported
 * @param requests the requests in the order in which they came, null when the file does not list them
 */
public record Bill(
        boolean complete, Figures total, @Nullable List<BilledRequest> requests) {

    /** Copies the list. */
    public Bill {
        requests = requests == null ? null : List.copyOf(requests);
    }
}
