package io.fluxtally.benchmarks.operator;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;

/** The chunks of an answer, each an object of its own, as clients make them; or the JSON that they are made of. */
final class Chunks {

    /** What each answer has used of input; its output is the number of its chunks. */
    static final int INPUT_TOKENS = 1_000;

    /** How long the JSON of a chunk is, about: with the ids and fingerprints that providers send along. */
    private static final int BYTES = 300;

    private static final ObjectReader JSON = JsonMapper.builder()
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build()
            .readerFor(Wire.class);

    /** A chunk as a provider sends it. */
    record Wire(
            String id,
            String model,
            List<Choice> choices,
            @Nullable Counts usage) {

        record Choice(
                Delta delta,
                @JsonProperty("finish_reason") @Nullable String finishReason) {}

        record Delta(String content) {}

        record Counts(
                @JsonProperty("prompt_tokens") int input,
                @JsonProperty("completion_tokens") int output) {}
    }

    private Chunks() {}

    /**
     * An answer.
     *
     * @param count how many chunks it has
     * @param onEach whether each chunk has the usage so far, or the last alone
     */
    static List<ChatResponse> of(int count, boolean onEach) {
        return IntStream.rangeClosed(1, count)
                .mapToObj(i ->
                        chunk("response-1", "scripted", "text", i == count ? "stop" : null, tokens(i, count, onEach)))
                .toList();
    }

    /** The JSON of the same answer. */
    static List<byte[]> json(int count, boolean onEach) {
        return IntStream.rangeClosed(1, count)
                .mapToObj(i -> json(i == count, tokens(i, count, onEach)))
                .toList();
    }

    private static int tokens(int number, int count, boolean onEach) {
        return onEach || number == count ? number : 0;
    }

    private static byte[] json(boolean last, int tokens) {
        String json = """
                {"id":"response-1","object":"chat.completion.chunk","created":1750000000,"model":"scripted",\
                "choices":[{"index":0,"delta":{"role":"assistant","content":"text"},"logprobs":null,"finish_reason":%s}],\
                "usage":%s,"system_fingerprint":"%s"}""";
        String usage = tokens == 0
                ? "null"
                : "{\"prompt_tokens\":%d,\"completion_tokens\":%d}".formatted(INPUT_TOKENS, tokens);
        String reason = last ? "\"stop\"" : "null";
        int rest = BYTES - json.formatted(reason, usage, "").length();
        return json.formatted(reason, usage, "f".repeat(Math.max(0, rest))).getBytes(StandardCharsets.UTF_8);
    }

    /** Makes a chunk of its JSON. */
    static ChatResponse decode(byte[] json) {
        try {
            Wire wire = JSON.readValue(json);
            Wire.Choice choice = wire.choices().get(0);
            int tokens = wire.usage() == null ? 0 : wire.usage().output();
            return chunk(wire.id(), wire.model(), choice.delta().content(), choice.finishReason(), tokens);
        } catch (IOException broken) {
            throw new UncheckedIOException(broken);
        }
    }

    private static ChatResponse chunk(String id, String model, String text, @Nullable String reason, int tokens) {
        ChatResponseMetadata.Builder metadata =
                ChatResponseMetadata.builder().id(id).model(model);
        if (tokens > 0) {
            metadata.usage(new DefaultUsage(INPUT_TOKENS, tokens));
        }
        ChatGenerationMetadata end =
                ChatGenerationMetadata.builder().finishReason(reason).build();
        return new ChatResponse(List.of(new Generation(new AssistantMessage(text), end)), metadata.build());
    }
}
