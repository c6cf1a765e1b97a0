package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

@DisplayName("many runs of one compiled graph")
@Timeout(120)
class ConcurrentRunsTest {

    private static final int RUNS = 1_000;

    /** Answers the question {@code n} in three turns billed by n, so that no two runs are billed the same. */
    private static final class ByQuestion implements ChatModel {

        private static ScriptedModel script(Prompt prompt) {
            int number = Integer.parseInt(prompt.getInstructions().stream()
                    .filter(UserMessage.class::isInstance)
                    .map(Message::getText)
                    .findFirst()
                    .orElseThrow());
            return ScriptedModel.of(
                            Turn.asks(1_000 + number, 10, "tool"),
                            Turn.asks(2_000 + number, 20, "tool"),
                            Turn.says(3_000 + number, 30, "answer ", "to ", "" + number))
                    .with(UsageAt.USAGE_ONLY_CHUNK)
                    .withoutIds();
        }

        @Override
        public ChatResponse call(Prompt prompt) {
            return script(prompt).call(prompt);
        }

        @Override
        public Flux<ChatResponse> stream(Prompt prompt) {
            // Hops threads within the answer, so that runs interleave on few threads.
            return script(prompt).stream(prompt)
                    .concatMap(chunk -> Mono.just(chunk).subscribeOn(Schedulers.parallel()));
        }
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("at once never see each other's tokens, answers or state")
    void apart(boolean streaming) {
        UsageRecorder recorder = UsageRecorder.withSinks();
        ReactAgent agent = ReactAgent.builder("crowd")
                .model(new ByQuestion())
                .tools(Tool.of("tool", input -> "fine"))
                .recorder(recorder)
                .build();

        List<NodeOutput> ends = Flux.range(0, RUNS)
                .flatMapSequential(
                        number -> (streaming ? agent.stream("" + number).last() : agent.invoke("" + number))
                                .subscribeOn(Schedulers.parallel()),
                        RUNS)
                .collectList()
                .block();

        for (int number = 0; number < RUNS; number++) {
            NodeOutput end = ends.get(number);
            assertThat(ReactAgent.answer(end)).isEqualTo("answer to " + number);
            assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(6_000 + 3L * number, 60));
            List<Message> messages = end.state().list(ReactAgent.MESSAGES);
            assertThat(messages).hasSize(6);
            assertThat(messages.get(0).getText()).isEqualTo("" + number);
            assertThat(messages)
                    .filteredOn(ToolResponseMessage.class::isInstance)
                    .hasSize(2);
        }
        assertThat(ends.stream()
                        .map(end -> end.runUsage().requests().get(0).runId())
                        .distinct())
                .hasSize(RUNS);
        assertThat(recorder.processSum().requests()).isEqualTo(3L * RUNS);
        assertThat(recorder.processSum().total().inputTokens())
                .isEqualTo(
                        IntStream.range(0, RUNS).mapToLong(i -> 6_000 + 3L * i).sum());
        assertThat(recorder.unattributed()).isZero();
    }

    @Test
    @DisplayName("are one for each subscription of the same flux")
    void bySubscription() {
        ReactAgent agent = ReactAgent.builder("crowd")
                .model(new ByQuestion())
                .tools(Tool.of("tool", input -> "fine"))
                .build();
        Flux<NodeOutput> run = agent.stream("5");

        List<NodeOutput> ends = Flux.range(0, 50)
                .flatMap(i -> run.last().subscribeOn(Schedulers.parallel()), 50)
                .collectList()
                .block();

        assertThat(ends).hasSize(50).allSatisfy(end -> {
            assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(6_015, 60));
            assertThat(end.runUsage().requests())
                    .extracting(RequestUsage::round)
                    .containsExactly(1, 2, 3);
            assertThat(end.state().list(ReactAgent.MESSAGES)).hasSize(6);
        });
    }
}
