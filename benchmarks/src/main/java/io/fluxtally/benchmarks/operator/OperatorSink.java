package io.fluxtally.benchmarks.operator;

import java.util.List;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.publisher.Sinks;

/** A source that is fed one chunk after the other. */
public class OperatorSink extends Operator {

    @Override
    Source source(int count, boolean usageOnEach) {
        List<ChatResponse> answer = Chunks.of(count, usageOnEach);
        return listening -> {
            Sinks.Many<ChatResponse> sink = Sinks.many().unicast().onBackpressureBuffer();
            Counter counter = new Counter();
            listening.to(sink.asFlux()).subscribe(counter);
            for (ChatResponse chunk : answer) {
                sink.tryEmitNext(chunk).orThrow();
            }
            sink.tryEmitComplete().orThrow();
            return counter.counted();
        };
    }
}
