package io.fluxtally.boot.actuate;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The requests of a run by agent, node and call, each in the order in which its first request was sent. Every sum is that of
 * the requests below it.
 */
record RunTree(List<AgentWork> agents) {

    /** What an agent asked for, or what no agent did. */
    record AgentWork(@Nullable String agent, UsageSum sum, List<NodeWork> nodes) {}

    /** What was asked for in a node, or in none. */
    record NodeWork(@Nullable String node, UsageSum sum, List<CallWork> calls) {}

    /** The requests of a call, or those that were made outside any call that was seen. */
    record CallWork(@Nullable String callId, UsageSum sum, List<RequestUsage> requests) {}

    static RunTree of(List<RequestUsage> requests) {
        return new RunTree(by(
                requests,
                RequestUsage::agent,
                (agent, ofAgent) -> new AgentWork(
                        agent,
                        sum(ofAgent),
                        by(
                                ofAgent,
                                RequestUsage::node,
                                (node, ofNode) -> new NodeWork(
                                        node,
                                        sum(ofNode),
                                        by(
                                                ofNode,
                                                RequestUsage::callId,
                                                (call, ofCall) -> new CallWork(call, sum(ofCall), ofCall)))))));
    }

    private static <T> List<T> by(
            List<RequestUsage> requests,
            Function<RequestUsage, @Nullable String> key,
            BiFunction<@Nullable String, List<RequestUsage>, T> group) {
        Map<Optional<String>, List<RequestUsage>> groups = requests.stream()
                .collect(Collectors.groupingBy(
                        request -> Optional.ofNullable(key.apply(request)), LinkedHashMap::new, Collectors.toList()));
        return groups.entrySet().stream()
                .map(entry -> group.apply(entry.getKey().orElse(null), entry.getValue()))
                .toList();
    }

    private static UsageSum sum(List<RequestUsage> requests) {
        UsageSum sum = UsageSum.EMPTY;
        for (RequestUsage request : requests) {
            sum = sum.plus(request);
        }
        return sum;
    }
}
