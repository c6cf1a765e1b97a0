package io.fluxtally.usage.chat;

import java.util.List;
import java.util.function.Function;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;

/** A model that answers what it is told to, and the chunks to tell it. */
final class Script implements ChatModel {

    static final Prompt PROMPT = new Prompt("hello");

    private final Function<Prompt, ChatResponse> call;
    private final Function<Prompt, Flux<ChatResponse>> stream;
    private ChatOptions defaults;

    private Script(Function<Prompt, ChatResponse> call, Function<Prompt, Flux<ChatResponse>> stream) {
        this.call = call;
        this.stream = stream;
    }

    static Script calls(Function<Prompt, ChatResponse> call) {
        return new Script(call, prompt -> Flux.error(new AssertionError("streamed")));
    }

    static Script calls(ChatResponse response) {
        return calls(prompt -> response);
    }

    static Script streams(Flux<ChatResponse> stream) {
        return new Script(
                prompt -> {
                    throw new AssertionError("called");
                },
                prompt -> stream);
    }

    static Script streams(ChatResponse... chunks) {
        return streams(Flux.fromArray(chunks));
    }

    static Script streams(Function<Prompt, Flux<ChatResponse>> stream) {
        return new Script(
                prompt -> {
                    throw new AssertionError("called");
                },
                stream);
    }

    Script withDefaults(ChatOptions options) {
        defaults = options;
        return this;
    }

    @Override
    public ChatResponse call(Prompt prompt) {
        return call.apply(prompt);
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return stream.apply(prompt);
    }

    @Override
    public ChatOptions getDefaultOptions() {
        return defaults;
    }

    @Override
    public String toString() {
        return "Script";
    }

    /** A chunk with text, and no usage. */
    static ChatResponse text(String text) {
        return chunk("id-1", text, null, null);
    }

    /** A chunk with text and usage. */
    static ChatResponse text(String text, Usage usage) {
        return chunk("id-1", text, null, usage);
    }

    /** The last chunk with text. */
    static ChatResponse stop(Usage usage) {
        return chunk("id-1", "!", "stop", usage);
    }

    /** A chunk without choices: usage only. */
    static ChatResponse usageOnly(Usage usage) {
        return new ChatResponse(List.of(), metadata("id-1", usage));
    }

    static ChatResponse chunk(String id, String text, String finishReason, Usage usage) {
        Generation generation = new Generation(
                new AssistantMessage(text),
                ChatGenerationMetadata.builder().finishReason(finishReason).build());
        return new ChatResponse(List.of(generation), metadata(id, usage));
    }

    static ChatResponseMetadata metadata(String id, Usage usage) {
        ChatResponseMetadata.Builder metadata =
                ChatResponseMetadata.builder().id(id).model("qwen-plus-2025");
        return usage == null ? metadata.build() : metadata.usage(usage).build();
    }

    static Usage tokens(int input, int output) {
        return new DefaultUsage(input, output);
    }
}
