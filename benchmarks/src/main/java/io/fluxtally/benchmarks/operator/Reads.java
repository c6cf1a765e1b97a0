package io.fluxtally.benchmarks.operator;

import io.fluxtally.usage.reactor.StreamListener;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.NullUnmarked;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.EmptyUsage;
import org.springframework.ai.chat.model.ChatResponse;

/**
 * Reads of each chunk what tells whether it belongs to the response before it and goes on with it (id, model, usage and
 * reason for the end), keeps that in fields, and does nothing else: no run, no booking.
 */
@NullUnmarked
final class Reads implements StreamListener<ChatResponse> {

    private final Consumer<ChatResponse> changed;
    private String id;
    private String model;
    private String reason;

    Reads(Consumer<ChatResponse> changed) {
        this.changed = changed;
    }

    @Override
    public void onNext(ChatResponse chunk) {
        ChatResponseMetadata metadata = chunk.getMetadata();
        String reasonNow = chunk.getResult().getMetadata().getFinishReason();
        if (!(metadata.getUsage() instanceof EmptyUsage)
                || !Objects.equals(metadata.getId(), id)
                || !Objects.equals(metadata.getModel(), model)
                || !Objects.equals(reasonNow, reason)) {
            id = metadata.getId();
            model = metadata.getModel();
            reason = reasonNow;
            changed.accept(chunk);
        }
    }

    @Override
    public void onComplete() {}

    @Override
    public void onError(Throwable error) {}

    @Override
    public void onCancel() {}
}
