package io.fluxtally.benchmarks.operator;

import java.util.List;
import reactor.core.publisher.Flux;

/** A source that makes each chunk of 300 bytes of JSON. */
public class OperatorDecoded extends Operator {

    @Override
    Source source(int count, boolean usageOnEach) {
        List<byte[]> answer = Chunks.json(count, usageOnEach);
        return listening -> Counter.of(listening.to(Flux.fromIterable(answer).map(Chunks::decode)));
    }
}
