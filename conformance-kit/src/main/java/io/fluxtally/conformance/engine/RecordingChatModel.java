package io.fluxtally.conformance.engine;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;

/** A model that keeps what it answered: what the code above it could read. */
final class RecordingChatModel implements ChatModel {

    private final ChatModel model;
    private final List<ChatResponse> responses = new CopyOnWriteArrayList<>();

    RecordingChatModel(ChatModel model) {
        this.model = model;
    }

    List<ChatResponse> responses() {
        return responses;
    }

    @Override
    public ChatResponse call(Prompt prompt) {
        ChatResponse response = model.call(prompt);
        responses.add(response);
        return response;
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return model.stream(prompt).doOnNext(responses::add);
    }

    @Override
    public ChatOptions getDefaultOptions() {
        return model.getDefaultOptions();
    }
}
