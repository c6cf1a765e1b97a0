package io.fluxtally.benchmarks.operator;

import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.publisher.Flux;

/** A source that can be fused, and emits all that it has in one loop. */
public class OperatorArray extends Operator {

    @Override
    Source source(int count, boolean usageOnEach) {
        ChatResponse[] answer = Chunks.of(count, usageOnEach).toArray(ChatResponse[]::new);
        return listening -> Counter.of(listening.to(Flux.fromArray(answer)));
    }
}
