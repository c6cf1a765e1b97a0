package io.fluxtally.bedrock;

import static io.fluxtally.bedrock.Bedrock.converse;
import static io.fluxtally.bedrock.Bedrock.document;
import static io.fluxtally.bedrock.Bedrock.stream;
import static io.fluxtally.bedrock.Bedrock.text;
import static io.fluxtally.bedrock.Bedrock.toolCall;
import static io.fluxtally.bedrock.Bedrock.usage;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import java.util.List;
import java.util.Map;
import org.assertj.core.groups.Tuple;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.bedrock.converse.BedrockChatOptions;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.tool.function.FunctionToolCallback;
import software.amazon.awssdk.http.Protocol;

/** Bedrock's client without the wire tap: what its chunks come to. */
class BedrockChunksTest {

    private static final String CACHED =
            "{\"inputTokens\":100,\"outputTokens\":5,\"totalTokens\":1205,\"cacheReadInputTokens\":1000,\"cacheWriteInputTokens\":100}";
    private static final TokenUsage CACHED_TOKENS = cached(1200, 5, 1000, 100);

    private final RunScope run = RunScope.start();

    private static TokenUsage cached(long input, long output, long read, long written) {
        return TokenUsage.builder()
                .inputTokens(input)
                .outputTokens(output)
                .part(TokenPart.CACHE_READ_INPUT, read)
                .part(TokenPart.CACHE_CREATION_INPUT, written)
                .build();
    }

    private static ChatModel model(Bedrock bedrock) {
        return UsageChatModel.of(bedrock.bareModel(Protocol.HTTP2));
    }

    private static Prompt plain() {
        return new Prompt("q", BedrockChatOptions.builder().model("m").build());
    }

    private static Prompt withTool() {
        return new Prompt(
                "q",
                BedrockChatOptions.builder()
                        .model("m")
                        .toolCallbacks(FunctionToolCallback.builder(
                                        "weather", (Map<String, Object> input) -> Map.of("ok", true))
                                .description("Answers that all is well.")
                                .inputType(Map.class)
                                .build())
                        .build());
    }

    private void streamed(Prompt prompt, Bedrock.Answer... answers) {
        try (Bedrock bedrock = new Bedrock(answers)) {
            run.wrap(model(bedrock).stream(prompt)).blockLast();
        }
    }

    private List<Tuple> counted() {
        return run.usage().requests().stream()
                .map(request -> tuple(request.source(), request.usage()))
                .toList();
    }

    @Test
    @DisplayName("T13: a stream's last chunk has the record, and its cached tokens are in the input")
    void wholeStream() {
        streamed(plain(), stream("req-1", text(CACHED)));

        assertThat(counted()).containsExactly(tuple(UsageSource.REPORTED, CACHED_TOKENS));
    }

    @Test
    @DisplayName("T3: over rounds of a tool loop the record is a sum, with all its parts")
    void toolLoop() {
        streamed(
                withTool(),
                stream("req-1", toolCall("tool-1", CACHED)),
                stream("req-2", toolCall("tool-2", usage(200, 20))),
                stream("req-3", text(CACHED)));

        assertThat(counted()).containsExactly(tuple(UsageSource.REPORTED, cached(2600, 30, 2000, 200)));
    }

    @Test
    @DisplayName("T7: a last round that reports nothing shows the sum before it, which is no final figure")
    void lastRoundWithoutUsage() {
        List<byte[]> silent = text(CACHED).stream().limit(5).toList();

        streamed(withTool(), stream("req-1", toolCall("tool-1", CACHED)), stream("req-2", silent));

        assertThat(counted()).containsExactly(tuple(UsageSource.PARTIAL, CACHED_TOKENS));
    }

    @Test
    @DisplayName("a blocking call has no record, and is final where its total leaves nothing out")
    void called() throws Exception {
        for (String usage : List.of(usage(200, 20), CACHED)) {
            try (Bedrock bedrock =
                    new Bedrock(document(200, null, "req-1", converse("{\"text\":\"a\"}", "end_turn", usage)))) {
                run.call(() -> model(bedrock).call(plain()));
            }
        }

        assertThat(run.usage().requests())
                .extracting(RequestUsage::source)
                .containsExactly(UsageSource.REPORTED, UsageSource.PARTIAL);
        assertThat(run.usage().total().totalTokens()).isEqualTo(220 + 1205);
    }
}
