package io.fluxtally.graph;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fluxtally.graph.checkpoint.Checkpoint;
import io.fluxtally.graph.checkpoint.CheckpointException;
import io.fluxtally.graph.checkpoint.StateSerializer;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.json.RequestUsageJson;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a checkpoint holds: where a run stands, and what it has used. As JSON:
 *
 * <pre>{@code
 * {"version": 1, "graph": "…", "run_id": "…", "in_flight": 0, "requests": [{…}, …],
 *  "position": {
 *    "node": "…", "next": "…", "after_checked": true, "before_checked": true, "interrupt": "BEFORE",
 *    "state": {…}, "feedback": [{…}], "written": {"key": [value, …]},
 *    "visits": {"node": 1}, "iterations": 1, "in_flight": 0, "requests": [0, 1],
 *    "branches": [{…position}], "sub_graph": {"node": "…", "action": 0, "graph": "…", "round": 1, "position": {…}}}}
 * }</pre>
 *
 * <p>Each request is there once; a branch or sub-graph has those of its own by their places in the list.
 */
record RunDocument(String graph, String runId, Position position) {

    private static final int VERSION = 1;

    /** What was written is read, however long a text in it is. */
    private static final ObjectMapper MAPPER = new ObjectMapper(JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxStringLength(Integer.MAX_VALUE)
                    .build())
            .build());

    /** What the run had used. */
    RunUsage usage() {
        return position.usage().get();
    }

    String write(StateSerializer serializer) {
        Writer writer = new Writer(serializer);
        ObjectNode json = MAPPER.createObjectNode();
        json.put("version", VERSION);
        json.put("graph", graph);
        json.put("run_id", runId);
        JsonNode where = writer.write(position, true);
        // Last, since what parts have used is in the whole by now.
        RunUsage usage = usage();
        usage.requests().forEach(writer::placeOf);
        json.put("in_flight", usage.inFlight());
        json.set("requests", writer.requests);
        json.set("position", where);
        return json.toString();
    }

    private static final class Writer {

        private final StateSerializer serializer;
        private final ArrayNode requests = MAPPER.createArrayNode();
        private final Map<String, Integer> places = new HashMap<>();

        Writer(StateSerializer serializer) {
            this.serializer = serializer;
        }

        /** The place of a request in the list of all. */
        int placeOf(RequestUsage request) {
            return places.computeIfAbsent(request.requestId(), id -> {
                requests.add(RequestUsageJson.write(request));
                return requests.size() - 1;
            });
        }

        ObjectNode write(Position where, boolean whole) {
            ObjectNode json = MAPPER.createObjectNode();
            json.put("node", where.node());
            if (where.next() != null) {
                json.put("next", where.next());
            }
            json.put("after_checked", where.afterChecked());
            json.put("before_checked", where.beforeChecked());
            if (where.interrupt() != null) {
                json.put("interrupt", where.interrupt().name());
            }
            json.set("state", write(where.state().values()));
            if (!where.feedback().isEmpty()) {
                ArrayNode feedback = json.putArray("feedback");
                where.feedback().forEach(update -> feedback.add(write(update)));
            }
            if (where.written() != null) {
                json.set("written", write(where.written()));
            }
            if (where.counts() != null) {
                where.counts().visits().forEach(json.putObject("visits")::put);
                json.put("iterations", where.counts().iterations());
            }
            if (!where.branches().isEmpty()) {
                ArrayNode branches = json.putArray("branches");
                where.branches().forEach(branch -> branches.add(write(branch, false)));
            }
            if (where.subGraph() != null) {
                json.putObject("sub_graph")
                        .put("node", where.subGraph().node())
                        .put("action", where.subGraph().action())
                        .put("graph", where.subGraph().graph())
                        .put("round", where.subGraph().round())
                        .set("position", write(where.subGraph().position(), false));
            }
            if (!whole) {
                RunUsage usage = where.usage().get();
                json.put("in_flight", usage.inFlight());
                ArrayNode own = json.putArray("requests");
                usage.requests().forEach(request -> own.add(placeOf(request)));
            }
            return json;
        }

        private ObjectNode write(Map<String, ?> values) {
            ObjectNode json = MAPPER.createObjectNode();
            values.forEach((key, value) -> {
                try {
                    json.set(key, serializer.write(value));
                } catch (CheckpointException unknown) {
                    throw new CheckpointException("the key \"%s\": %s".formatted(key, unknown.getMessage()), unknown);
                }
            });
            return json;
        }
    }

    /**
     * What a checkpoint holds.
     *
     * @throws CheckpointException if it is of a later version, or no checkpoint at all
     */
    static RunDocument read(Checkpoint checkpoint, StateSerializer serializer) {
        try {
            JsonNode json = MAPPER.readTree(checkpoint.document());
            int version = json.path("version").asInt();
            if (version != VERSION) {
                throw new CheckpointException(
                        "its version is %d, and this library reads %d".formatted(version, VERSION));
            }
            List<RequestUsage> requests = new ArrayList<>();
            json.path("requests").forEach(request -> requests.add(RequestUsageJson.read(request)));
            RunUsage usage = RunUsage.of(requests, json.path("in_flight").asLong());
            return new RunDocument(
                    json.path("graph").asText(),
                    json.path("run_id").asText(),
                    new Reader(serializer, requests).read(json.path("position"), usage));
        } catch (JsonProcessingException | RuntimeException wrong) {
            // Only our own messages are passed on: those of others may have values of the state in them.
            throw new CheckpointException("%s cannot be read: %s"
                    .formatted(
                            checkpoint,
                            wrong instanceof CheckpointException
                                    ? wrong.getMessage()
                                    : wrong.getClass().getSimpleName()));
        }
    }

    private record Reader(StateSerializer serializer, List<RequestUsage> requests) {

        Position read(JsonNode json, @Nullable RunUsage usage) {
            List<Position> branches = new ArrayList<>();
            json.path("branches").forEach(branch -> branches.add(read(branch, null)));
            List<Map<String, Object>> feedback = new ArrayList<>();
            json.path("feedback").forEach(update -> feedback.add(values(update)));
            RunUsage used = usage == null ? own(json) : usage;
            return new Position(
                    json.path("node").asText(),
                    json.path("next").textValue(),
                    json.path("after_checked").asBoolean(),
                    json.path("before_checked").asBoolean(),
                    json.has("interrupt")
                            ? Interrupt.When.valueOf(json.path("interrupt").asText())
                            : null,
                    GraphState.of(values(json.path("state"))),
                    feedback,
                    json.has("written") ? written(json.path("written")) : null,
                    json.has("visits") ? counts(json) : null,
                    branches,
                    json.has("sub_graph") ? subGraph(json.path("sub_graph")) : null,
                    () -> used);
        }

        private Position.SubGraph subGraph(JsonNode json) {
            return new Position.SubGraph(
                    json.path("node").asText(),
                    json.path("action").asInt(),
                    json.path("graph").asText(),
                    json.path("round").asInt(),
                    read(json.path("position"), null));
        }

        private RunUsage own(JsonNode json) {
            List<RequestUsage> own = new ArrayList<>();
            json.path("requests").forEach(place -> own.add(requests.get(place.asInt())));
            return RunUsage.of(own, json.path("in_flight").asLong());
        }

        private static Position.Counts counts(JsonNode json) {
            Map<String, Integer> visits = new HashMap<>();
            json.path("visits")
                    .properties()
                    .forEach(
                            visit -> visits.put(visit.getKey(), visit.getValue().asInt()));
            return new Position.Counts(visits, json.path("iterations").asLong());
        }

        /** An update that takes a key away is null. */
        private Map<String, Object> values(JsonNode json) {
            Map<String, Object> values = new LinkedHashMap<>();
            json.properties().forEach(field -> values.put(field.getKey(), serializer.read(field.getValue())));
            return values;
        }

        private Map<String, List<@Nullable Object>> written(JsonNode json) {
            Map<String, List<@Nullable Object>> written = new LinkedHashMap<>();
            json.properties().forEach(field -> {
                List<@Nullable Object> updates = new ArrayList<>();
                field.getValue().forEach(update -> updates.add(serializer.read(update)));
                written.put(field.getKey(), updates);
            });
            return written;
        }
    }
}
