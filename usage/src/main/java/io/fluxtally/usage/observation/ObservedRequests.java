package io.fluxtally.usage.observation;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.UsageSink;
import io.micrometer.observation.Observation;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The requests that were made in one observation, kept in its context. Safe for use by any number of threads. */
final class ObservedRequests {

    private final Set<ModelCall.OpenRequest> open = new LinkedHashSet<>();
    private final Set<UsageSource> sources = EnumSet.noneOf(UsageSource.class);
    private UsageSum sum = UsageSum.EMPTY;

    private ObservedRequests() {}

    static ObservedRequests of(Observation.Context context) {
        return context.computeIfAbsent(ObservedRequests.class, key -> new ObservedRequests());
    }

    /** Those of an observation, or null if none was made in it. */
    static @Nullable ObservedRequests in(Observation.Context context) {
        return context.get(ObservedRequests.class);
    }

    /** A request is made; what is returned is to be told of it when it is booked. */
    UsageSink begun(ModelCall.OpenRequest request) {
        synchronized (this) {
            open.add(request);
        }
        return booked -> ended(request, booked);
    }

    private synchronized void ended(ModelCall.OpenRequest request, RequestUsage booked) {
        if (!open.remove(request)) {
            return;
        }
        sum = sum.plus(booked);
        sources.add(booked.source());
    }

    /**
     * Books what is still open: the observation ends, so nobody waits for it any more. A client may not have passed on that the
     * app left. One that ended by itself may just be being booked on another thread, which is not waited for.
     */
    void end() {
        List<ModelCall.OpenRequest> left;
        synchronized (this) {
            left = List.copyOf(open);
        }
        for (ModelCall.OpenRequest request : left) {
            request.abandon();
            RequestUsage concluded = request.concluded();
            if (concluded != null) {
                ended(request, concluded);
            }
        }
    }

    /** The sum over the requests that were booked so far. */
    synchronized UsageSum sum() {
        return sum;
    }

    /** Where their figures come from, the most trusted first. */
    synchronized List<UsageSource> sources() {
        return List.copyOf(sources);
    }
}
