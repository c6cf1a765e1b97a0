package io.fluxtally.benchmarks.operator;

import java.util.List;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

/** A source that cannot be fused, and a publishOn behind; without a change of threads, whose cost varies. */
public class OperatorPublishOn extends Operator {

    @Override
    Source source(int count, boolean usageOnEach) {
        List<ChatResponse> answer = Chunks.of(count, usageOnEach);
        return listening ->
                Counter.of(listening.to(Flux.fromIterable(answer).hide()).publishOn(Schedulers.immediate()));
    }
}
