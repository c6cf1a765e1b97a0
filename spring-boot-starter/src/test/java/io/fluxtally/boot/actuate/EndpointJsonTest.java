package io.fluxtally.boot.actuate;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.json.RequestUsageJson;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class EndpointJsonTest {

    private static final Instant START = Instant.parse("2026-01-31T12:00:00Z");

    private final RunHistory history = new RunHistory(10, 10, Duration.ofHours(1), 20);

    private RequestUsage.Builder request(int number) {
        return RequestUsage.builder("request-" + number, START.plusMillis(number))
                .runId("run")
                .duration(Duration.ofMillis(5));
    }

    private static TokenUsage allParts() {
        TokenUsage.Builder usage = TokenUsage.builder().inputTokens(1000).outputTokens(100);
        for (TokenPart part : TokenPart.values()) {
            usage.part(part, part.ordinal() + 1);
        }
        return usage.build();
    }

    private ObjectNode run() {
        return EndpointJson.run(history.run("run").orElseThrow());
    }

    private ObjectNode runs() {
        return EndpointJson.overview(
                new Overview(history.overview(10), history.overview(0).sum(), 0));
    }

    private static List<String> names(JsonNode node) {
        List<String> names = new ArrayList<>();
        node.fieldNames().forEachRemaining(names::add);
        return names;
    }

    private void everything() {
        int number = 0;
        for (UsageSource source : UsageSource.values()) {
            for (RequestOutcome outcome : RequestOutcome.values()) {
                history.accept(request(number++)
                        .callId("call-" + number % 3)
                        .responseId("response")
                        .agent(number % 2 == 0 ? null : "agent-" + number % 3)
                        .node(number % 4 == 0 ? null : "node")
                        .round(2)
                        .attempt(3)
                        .labels(Map.of("user", "u", "conversation", "c"))
                        .provider("openai")
                        .requestModel("asked")
                        .responseModel("answered-" + number % 3)
                        .usage(source == UsageSource.MISSING ? null : allParts(), source)
                        .reported(Map.of("usage.prompt_tokens", 1000L))
                        .outcome(outcome)
                        .timeToFirstChunk(Duration.ofMillis(1))
                        .build());
            }
        }
        history.accept(request(number).build());
    }

    @Test
    @DisplayName("it is what its schema says, whatever is known of the requests")
    void schema() {
        assertThat(EndpointSchema.errors("runs", runs().toString())).isEmpty();

        history.accept(request(0).build());
        assertThat(EndpointSchema.errors("run", run().toString())).isEmpty();
        assertThat(EndpointSchema.errors("runs", runs().toString())).isEmpty();

        everything();
        assertThat(EndpointSchema.errors("run", run().toString())).isEmpty();
        assertThat(EndpointSchema.errors("runs", runs().toString())).isEmpty();
        assertThat(EndpointSchema.errors(run().toString())).isEmpty();
        assertThat(EndpointSchema.errors(runs().toString())).isEmpty();
    }

    @Test
    @DisplayName("the schema has every name that there can be, and finds what is wrong")
    void strict() {
        everything();
        JsonNode definitions = EndpointSchema.published().path("$defs");

        assertThat(names(definitions.at("/usage/properties")))
                .containsAll(
                        Arrays.stream(TokenPart.values()).map(TokenPart::key).toList());
        assertThat(names(definitions.at("/request/properties")))
                .isEqualTo(names(RequestUsageJson.write(
                        history.run("run").orElseThrow().requests().get(0))));
        assertThat(EndpointSchema.errors("run", run().put("other", 1).toString()))
                .hasSize(1);
        assertThat(EndpointSchema.errors("run", run().put("start", "yesterday").toString()))
                .hasSize(1);
        assertThat(EndpointSchema.errors("run", run().put("state", "closed").toString()))
                .hasSize(1);
    }

    @Test
    @DisplayName("what is not known is left out, and is no zero")
    void absent() {
        history.accept(request(1).build());

        assertThat(run().toString())
                .isEqualTo("{\"run_id\":\"run\",\"state\":\"SEEN\",\"start\":\"2026-01-31T12:00:00.001Z\","
                        + "\"complete\":false,\"incomplete_because\":{\"missing\":1,\"not_all_seen\":true},"
                        + "\"sum\":{\"requests\":1,\"unreported\":1,\"missing\":1,\"complete\":false},"
                        + "\"requests_omitted\":0,"
                        + "\"by_agent\":{\"none\":{\"requests\":1,\"unreported\":1,\"missing\":1,\"complete\":false}},"
                        + "\"by_model\":{\"none\":{\"requests\":1,\"unreported\":1,\"missing\":1,\"complete\":false}},"
                        + "\"by_source\":{\"MISSING\":{\"requests\":1,\"unreported\":1,\"missing\":1,\"complete\":false}},"
                        + "\"agents\":[{\"sum\":{\"requests\":1,\"unreported\":1,\"missing\":1,\"complete\":false},"
                        + "\"nodes\":[{\"sum\":{\"requests\":1,\"unreported\":1,\"missing\":1,\"complete\":false},"
                        + "\"calls\":[{\"sum\":{\"requests\":1,\"unreported\":1,\"missing\":1,\"complete\":false},"
                        + "\"requests\":[{\"request_id\":\"request-1\",\"run_id\":\"run\",\"attempt\":1,"
                        + "\"source\":\"MISSING\",\"outcome\":\"COMPLETED\",\"start\":\"2026-01-31T12:00:00.001Z\","
                        + "\"duration_nanos\":5000000}]}]}]}]}");
    }

    @Test
    @DisplayName("a part tells by how many requests it was reported")
    void reportedBy() {
        history.accept(request(1)
                .usage(
                        TokenUsage.builder()
                                .inputTokens(10)
                                .part(TokenPart.CACHE_READ_INPUT, 0)
                                .build(),
                        UsageSource.REPORTED)
                .build());
        history.accept(
                request(2).usage(TokenUsage.of(5, 5), UsageSource.REPORTED).build());

        assertThat(run().at("/sum/usage/cache_read_input_tokens").longValue()).isZero();
        assertThat(run().at("/sum/reported_by").toString()).isEqualTo("{\"cache_read_input_tokens\":1}");
    }

    @Test
    @DisplayName("the requests in its tree are those of the run, each once, as they can be read back")
    void tree() {
        everything();
        List<RequestUsage> read = new ArrayList<>();
        UsageSum listed = UsageSum.EMPTY;
        for (JsonNode agent : run().path("agents")) {
            for (JsonNode node : agent.path("nodes")) {
                for (JsonNode call : node.path("calls")) {
                    for (JsonNode request : call.path("requests")) {
                        read.add(RequestUsageJson.read(request));
                        listed = listed.plus(read.get(read.size() - 1));
                    }
                }
            }
        }

        assertThat(read)
                .containsExactlyInAnyOrderElementsOf(
                        history.run("run").orElseThrow().requests());
        assertThat(run().path("requests_omitted").longValue() + read.size())
                .isEqualTo(run().at("/sum/requests").longValue());
        assertThat(run().path("requests_omitted").longValue()).isEqualTo(1);
    }

    @Test
    @DisplayName("names are sorted, so that the same runs make the same text")
    void sorted() {
        for (String name : List.of("zebra", "ant", "moth")) {
            history.accept(request(1)
                    .agent(name)
                    .responseModel(name)
                    .usage(TokenUsage.of(1, 1), UsageSource.REPORTED)
                    .build());
        }

        assertThat(names(run().path("by_agent"))).isSorted();
        assertThat(names(run().path("by_model"))).containsExactly("ant", "moth", "zebra");
        Iterator<JsonNode> agents = run().path("agents").elements();
        assertThat(agents.next().path("agent").textValue())
                .as("the agents of the tree are in the order of their first requests")
                .isEqualTo("zebra");
        assertThat(run()).hasToString(run().toString());
    }
}
