package io.fluxtally.boot.actuate;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fluxtally.boot.runs.RunOverview;
import io.fluxtally.boot.runs.RunRecord;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.json.RequestUsageJson;
import java.util.Map;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The endpoint's answers as JSON. Names are those of {@link RequestUsageJson}, and what is not known is left out, as it is
 * there. The same runs make the same text.
 */
final class EndpointJson {

    private EndpointJson() {}

    static ObjectNode overview(Overview overview) {
        RunOverview remembered = overview.remembered();
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("open", remembered.open());
        json.put("evicted", remembered.evicted());
        ObjectNode process = json.putObject("process");
        process.put("unattributed", overview.unattributed());
        process.set("sum", sum(overview.process()));
        json.set("sum", sum(remembered.sum()));
        sums(json, remembered.byAgent(), remembered.byModel(), remembered.bySource());
        ArrayNode runs = json.putArray("runs");
        for (RunRecord run : remembered.runs()) {
            head(run, runs.addObject());
        }
        json.put("runs_omitted", remembered.omitted());
        return json;
    }

    static ObjectNode run(RunRecord run) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        head(run, json);
        sums(json, run.byAgent(), run.byModel(), run.bySource());
        ArrayNode agents = json.putArray("agents");
        for (RunTree.AgentWork work : RunTree.of(run.requests()).agents()) {
            ObjectNode agent = agents.addObject();
            putText(agent, "agent", work.agent());
            agent.set("sum", sum(work.sum()));
            ArrayNode nodes = agent.putArray("nodes");
            for (RunTree.NodeWork nodeWork : work.nodes()) {
                node(nodeWork, nodes.addObject());
            }
        }
        return json;
    }

    private static void node(RunTree.NodeWork work, ObjectNode json) {
        putText(json, "node", work.node());
        json.set("sum", sum(work.sum()));
        ArrayNode calls = json.putArray("calls");
        for (RunTree.CallWork callWork : work.calls()) {
            ObjectNode call = calls.addObject();
            putText(call, "call_id", callWork.callId());
            call.set("sum", sum(callWork.sum()));
            ArrayNode requests = call.putArray("requests");
            callWork.requests().forEach(request -> requests.add(RequestUsageJson.write(request)));
        }
    }

    private static void head(RunRecord run, ObjectNode json) {
        json.put("run_id", run.runId());
        json.put("state", run.state().name());
        json.put("start", run.start().toString());
        if (run.end() != null) {
            json.put("end", run.end().toString());
        }
        json.put("complete", run.isComplete());
        Doubts doubts = Doubts.of(run);
        if (!run.isComplete()) {
            ObjectNode because = json.putObject("incomplete_because");
            putCount(because, "in_flight", doubts.inFlight());
            putCount(because, "partial", doubts.partial());
            putCount(because, "estimated", doubts.estimated());
            putCount(because, "missing", doubts.missing());
            if (!run.wholeSeen()) {
                because.put("not_all_seen", true);
            }
        }
        json.set("sum", sum(run.sum()));
        json.put("requests_omitted", run.omitted());
    }

    private static void putCount(ObjectNode json, String name, long count) {
        if (count > 0) {
            json.put(name, count);
        }
    }

    private static void sums(
            ObjectNode json,
            Map<String, UsageSum> byAgent,
            Map<String, UsageSum> byModel,
            Map<String, UsageSum> bySource) {
        byAgent.forEach(into(json.putObject("by_agent")));
        byModel.forEach(into(json.putObject("by_model")));
        bySource.forEach(into(json.putObject("by_source")));
    }

    private static BiConsumer<String, UsageSum> into(ObjectNode json) {
        return (key, sum) -> json.set(key, sum(sum));
    }

    private static ObjectNode sum(UsageSum sum) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("requests", sum.requests());
        json.put("unreported", sum.unreported());
        json.put("missing", sum.missing());
        json.put("complete", sum.isComplete());
        if (!sum.isUnknown()) {
            json.set("usage", RequestUsageJson.write(sum.total()));
            ObjectNode reportedBy = JsonNodeFactory.instance.objectNode();
            for (TokenPart part : TokenPart.values()) {
                putCount(reportedBy, part.key(), sum.reportedBy(part));
            }
            if (!reportedBy.isEmpty()) {
                json.set("reported_by", reportedBy);
            }
        }
        return json;
    }

    private static void putText(ObjectNode json, String name, @Nullable String value) {
        if (value != null) {
            json.put(name, value);
        }
    }
}
