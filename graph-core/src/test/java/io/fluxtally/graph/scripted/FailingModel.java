package io.fluxtally.graph.scripted;

import java.util.concurrent.atomic.AtomicInteger;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;

/** A model of which the first answers fail: streamed ones in the middle, after their first chunk. */
public final class FailingModel implements ChatModel {

    private final ChatModel model;
    private final int failures;
    private final AtomicInteger asked = new AtomicInteger();

    private FailingModel(ChatModel model, int failures) {
        this.model = model;
        this.failures = failures;
    }

    /** The given model, whose first answers fail. */
    public static FailingModel of(ChatModel model, int failures) {
        return new FailingModel(model, failures);
    }

    /** How often it was asked. */
    public int asked() {
        return asked.get();
    }

    @Override
    public ChatResponse call(Prompt prompt) {
        int ask = asked.incrementAndGet();
        if (ask <= failures) {
            throw failure(ask);
        }
        return model.call(prompt);
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return Flux.defer(() -> {
            int ask = asked.incrementAndGet();
            Flux<ChatResponse> answer = model.stream(prompt);
            return ask <= failures ? answer.take(1).concatWith(Flux.error(failure(ask))) : answer;
        });
    }

    private static IllegalStateException failure(int ask) {
        return new IllegalStateException("failure " + ask);
    }
}
