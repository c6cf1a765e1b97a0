package io.fluxtally.benchmarks.operator;

import java.util.List;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.publisher.Flux;

/** A source that cannot be fused. */
public class OperatorIterable extends Operator {

    @Override
    Source source(int count, boolean usageOnEach) {
        List<ChatResponse> answer = Chunks.of(count, usageOnEach);
        return listening -> Counter.of(listening.to(Flux.fromIterable(answer).hide()));
    }
}
