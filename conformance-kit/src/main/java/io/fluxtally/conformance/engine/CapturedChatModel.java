package io.fluxtally.conformance.engine;

import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.scope.UsageRecorder;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;

/** A model whose streams go through the usage-capturing operator. */
record CapturedChatModel(ChatModel model, UsageRecorder recorder) implements ChatModel {

    @Override
    public ChatResponse call(Prompt prompt) {
        return model.call(prompt);
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return ChatUsage.capture(model.stream(prompt), recorder);
    }

    @Override
    public ChatOptions getDefaultOptions() {
        return model.getDefaultOptions();
    }
}
