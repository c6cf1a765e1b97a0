package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.agent.LlmNode;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;
import reactor.test.publisher.TestPublisher;

@DisplayName("a run is asked for its outputs")
class BackPressureTest {

    private final List<String> begun = new CopyOnWriteArrayList<>();

    private NodeAction begins(String node, NodeResult result) {
        return (state, run) -> {
            begun.add(node);
            return result;
        };
    }

    private static StateGraph inLine(Map<String, NodeAction> nodes, String... order) {
        StateGraph graph = new StateGraph("line");
        String from = StateGraph.START;
        for (String node : order) {
            graph.addNode(node, nodes.get(node)).addEdge(from, node);
            from = node;
        }
        return graph.addEdge(from, StateGraph.END);
    }

    private CompiledGraph valueMonoChunks() {
        return inLine(
                        Map.of(
                                "value",
                                begins("value", NodeResult.update("a", 1)),
                                "mono",
                                begins("mono", NodeResult.deferred(Mono.just(Map.of("b", 2)))),
                                "chunks",
                                begins("chunks", NodeResult.chunks(Flux.just("x", "y"), () -> ChunkJoiner.text("c"))),
                                "last",
                                begins("last", NodeResult.none())),
                        "value",
                        "mono",
                        "chunks",
                        "last")
                .compile();
    }

    @Test
    @DisplayName("one at a time, and no node begins before its output is asked for")
    void oneByOne() {
        StepVerifier.create(valueMonoChunks().stream(Map.of()), 0)
                .expectSubscription()
                .then(() -> assertThat(begun).isEmpty())
                .thenRequest(1)
                .assertNext(output -> assertThat(output.node()).isEqualTo("value"))
                .then(() -> assertThat(begun).containsExactly("value"))
                .thenRequest(1)
                .assertNext(output -> assertThat(output.node()).isEqualTo("mono"))
                .then(() -> assertThat(begun).containsExactly("value", "mono"))
                .thenRequest(1)
                .assertNext(
                        output -> assertThat(((StreamingOutput) output).text()).isEqualTo("x"))
                .thenRequest(1)
                .assertNext(
                        output -> assertThat(((StreamingOutput) output).text()).isEqualTo("y"))
                .thenRequest(1)
                .assertNext(output ->
                        assertThat(((StreamingOutput) output).isComplete()).isTrue())
                .then(() -> assertThat(begun).containsExactly("value", "mono", "chunks"))
                .thenRequest(1)
                .assertNext(output -> assertThat(output.node()).isEqualTo("last"))
                .thenRequest(1)
                .assertNext(output -> assertThat(output.isEnd()).isTrue())
                .verifyComplete();
    }

    @Test
    @DisplayName("and passes the demand on to a streaming node, no more than that")
    void demandReachesTheNode() {
        AtomicLong requested = new AtomicLong();
        Flux<String> chunks = Flux.range(0, 100).map(String::valueOf).doOnRequest(requested::addAndGet);
        CompiledGraph graph = inLine(
                        Map.of("chunks", begins("chunks", NodeResult.chunks(chunks, () -> ChunkJoiner.text("c")))),
                        "chunks")
                .compile();

        StepVerifier.create(graph.stream(Map.of()), 3)
                .expectNextCount(3)
                .then(() -> assertThat(requested).hasValue(3))
                .thenRequest(2)
                .expectNextCount(2)
                .then(() -> assertThat(requested).hasValue(5))
                .thenCancel()
                .verify();
    }

    @Test
    @DisplayName("slowly, and a model that drops what nobody asked for loses no chunk")
    void slowConsumer() {
        String[] words = IntStream.range(0, 1_000).mapToObj(i -> i + " ").toArray(String[]::new);
        // Like DashScope's client 1.1.2.2: what comes without demand is gone.
        ScriptedModel model = ScriptedModel.of(Turn.says(100, 1_000, words)).over(Flux::onBackpressureDrop);
        CompiledGraph graph = inLine(Map.of("ask", new LlmNode(model, state -> new Prompt("Count."), "answer")), "ask")
                .compile();

        for (int demand : new int[] {1, 2, 7, 100}) {
            List<String> text = graph.stream(Map.of())
                    .limitRate(demand)
                    .ofType(StreamingOutput.class)
                    .map(StreamingOutput::text)
                    .collectList()
                    .block();

            assertThat(String.join("", text)).isEqualTo(String.join("", words));
        }
    }

    @Test
    @DisplayName("only after all of a streaming node's chunks have come, and keeps every one of them in order")
    void lateDemand() {
        TestPublisher<ChatResponse> answer = TestPublisher.create();
        Turn turn = Turn.says(10, 3, "a", "b", "c");
        ScriptedModel model = ScriptedModel.of(turn).over(chunks -> answer.flux());
        CompiledGraph graph = inLine(Map.of("ask", new LlmNode(model, state -> new Prompt("Spell."), "answer")), "ask")
                .compile();

        StepVerifier.create(graph.stream(Map.of()), 1)
                .then(() -> turn.chunks("id", UsageAt.LAST_CONTENT_CHUNK).forEach(answer::next))
                .then(answer::complete)
                .assertNext(
                        output -> assertThat(((StreamingOutput) output).text()).isEqualTo("a"))
                .thenRequest(1)
                .assertNext(
                        output -> assertThat(((StreamingOutput) output).text()).isEqualTo("b"))
                .thenRequest(1)
                .assertNext(
                        output -> assertThat(((StreamingOutput) output).text()).isEqualTo("c"))
                .thenRequest(1)
                .assertNext(
                        output -> assertThat(output.tokenUsage().totalTokens()).isEqualTo(13))
                .thenRequest(1)
                .assertNext(output -> assertThat(output.isEnd()).isTrue())
                .verifyComplete();
    }
}
