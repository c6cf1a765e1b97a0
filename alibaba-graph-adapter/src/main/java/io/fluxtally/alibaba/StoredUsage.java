package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.checkpoint.Checkpoint;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.json.RequestUsageJson;
import io.fluxtally.usage.scope.MeasuringFailures;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a run had used, as it lies in a checkpoint: under a key of its own in the checkpoint's state, as a text that every serializer
 * keeps. The graph never sees it.
 *
 * @param runId the run
 * @param usage what it had used
 */
record StoredUsage(String runId, RunUsage usage) {

    /** The key in the state of a stored checkpoint. */
    static final String KEY = "_FLUXTALLY_USAGE_";

    private static final int VERSION = 1;
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /** What a stored checkpoint says, or null if it says nothing, or nothing that can be read. */
    static @Nullable StoredUsage in(Checkpoint stored) {
        if (!(stored.getState().get(KEY) instanceof String text)) {
            return null;
        }
        try {
            JsonNode json = MAPPER.readTree(text);
            List<RequestUsage> requests = new ArrayList<>();
            json.path("requests").forEach(request -> requests.add(RequestUsageJson.read(request)));
            return new StoredUsage(
                    json.path("run").asText(),
                    RunUsage.of(requests, json.path("in_flight").asLong()));
        } catch (JsonProcessingException | RuntimeException unreadable) {
            MeasuringFailures.report("the usage in a checkpoint", unreadable);
            return null;
        }
    }

    /**
     * The text for a checkpoint.
     *
     * @param written what requests were written to before, by their ids; so that each is written once in a run
     */
    static String write(String runId, RunUsage usage, Map<String, String> written) {
        List<String> requests = new ArrayList<>();
        for (RequestUsage request : usage.requests()) {
            requests.add(written.computeIfAbsent(
                    request.requestId(), id -> RequestUsageJson.write(request).toString()));
        }
        return "{\"version\":%d,\"run\":%s,\"in_flight\":%d,\"requests\":[%s]}"
                .formatted(
                        VERSION, MAPPER.getNodeFactory().textNode(runId), usage.inFlight(), String.join(",", requests));
    }

    /** The checkpoint as it is to be stored. */
    static Checkpoint into(Checkpoint checkpoint, Object text) {
        Map<String, Object> state = new HashMap<>(checkpoint.getState());
        state.put(KEY, text);
        return withState(checkpoint, state);
    }

    /** The checkpoint as the graph is to see it. */
    static Checkpoint outOf(Checkpoint stored) {
        if (!stored.getState().containsKey(KEY)) {
            return stored;
        }
        Map<String, Object> state = new HashMap<>(stored.getState());
        state.remove(KEY);
        return withState(stored, state);
    }

    private static Checkpoint withState(Checkpoint checkpoint, Map<String, Object> state) {
        return Checkpoint.builder()
                .id(checkpoint.getId())
                .nodeId(checkpoint.getNodeId())
                .nextNodeId(checkpoint.getNextNodeId())
                .state(state)
                .build();
    }
}
