package io.fluxtally.benchmarks.operator;

import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

/** A source that a publishOn behind pulls from, unless an operator between them prevents it. */
public class OperatorFusedPublishOn extends Operator {

    @Override
    Source source(int count, boolean usageOnEach) {
        ChatResponse[] answer = Chunks.of(count, usageOnEach).toArray(ChatResponse[]::new);
        return listening -> Counter.of(listening.to(Flux.fromArray(answer)).publishOn(Schedulers.immediate()));
    }
}
