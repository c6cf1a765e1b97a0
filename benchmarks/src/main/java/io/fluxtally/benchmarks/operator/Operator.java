package io.fluxtally.benchmarks.operator;

import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.reactor.FluxTap;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.NullUnmarked;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.MessageAggregator;
import reactor.core.observability.DefaultSignalListener;
import reactor.core.publisher.Flux;

/** A stream of one kind, listened to in several ways. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 2)
@Warmup(iterations = 3, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@NullUnmarked
public abstract class Operator {

    /** How often each way is gone before anything is measured. */
    private static final int ROUNDS = 1_000;

    private static final int FEW = 100;

    /** How many chunks a stream has. */
    @Param({"1000", "10000"})
    public int chunks;

    /** Which chunks have the usage. */
    @Param({"last"})
    public String usage;

    private final AtomicReference<Usage> captured = new AtomicReference<>();
    private final UsageRecorder recorder = UsageRecorder.withSinks(request -> captured.set(request.usage()));
    private Source source;

    /** Streams that are alike but for what stands between their source and their subscriber. */
    interface Source {

        long count(Listening listening);
    }

    /** Puts something behind a model. */
    @FunctionalInterface
    interface Listening {

        Flux<ChatResponse> to(Flux<ChatResponse> stream);
    }

    abstract Source source(int count, boolean usageOnEach);

    /** Lets the compiler see all sources with all operators, as it does in an app; else it inlines what it cannot there. */
    @Setup
    public void prepare() {
        boolean onEach = usage.equals("every");
        source = source(chunks, onEach);
        List<Source> all = List.of(
                new OperatorArray().source(FEW, onEach),
                new OperatorIterable().source(FEW, onEach),
                new OperatorPublishOn().source(FEW, onEach),
                new OperatorFusedPublishOn().source(FEW, onEach),
                new OperatorSink().source(FEW, onEach));
        for (int i = 0; i < ROUNDS; i++) {
            for (Source one : all) {
                one.count(stream -> stream);
                one.count(NoOp::new);
                one.count(this::capture);
                one.count(this::readTo);
                one.count(this::doOnNextTo);
                one.count(this::tapTo);
                one.count(this::aggregate);
            }
        }
        captured.set(null);
    }

    private Flux<ChatResponse> capture(Flux<ChatResponse> stream) {
        return ChatUsage.capture(stream, recorder);
    }

    private void take(ChatResponse chunk) {
        Usage figure = chunk.getMetadata().getUsage();
        if (figure != null && figure.getTotalTokens() > 0) {
            captured.set(figure);
        }
    }

    /** What nobody can do without who tells the responses of a stream apart, and hears why one ended. */
    private Flux<ChatResponse> readTo(Flux<ChatResponse> stream) {
        return FluxTap.listen(stream, context -> new Reads(this::take));
    }

    private Flux<ChatResponse> doOnNextTo(Flux<ChatResponse> stream) {
        return stream.doOnNext(this::take);
    }

    private Flux<ChatResponse> tapTo(Flux<ChatResponse> stream) {
        return stream.tap(() -> new DefaultSignalListener<>() {
            @Override
            public void doOnNext(ChatResponse chunk) {
                take(chunk);
            }
        });
    }

    private Flux<ChatResponse> aggregate(Flux<ChatResponse> stream) {
        return new MessageAggregator().aggregate(stream, this::take);
    }

    private long all(Listening listening) {
        long counted = source.count(listening);
        if (counted != chunks) {
            throw new IllegalStateException("%d chunks were expected, but there were %d".formatted(chunks, counted));
        }
        return counted;
    }

    private long withUsage(Listening listening) {
        long counted = all(listening);
        Usage figure = captured.getAndSet(null);
        if (figure == null || figure.getTotalTokens() != Chunks.INPUT_TOKENS + chunks) {
            throw new IllegalStateException("the usage of %d chunks is not %s".formatted(chunks, figure));
        }
        return counted;
    }

    @Benchmark
    public long noOperator() {
        return all(stream -> stream);
    }

    @Benchmark
    public long noOp() {
        return all(NoOp::new);
    }

    @Benchmark
    public long fluxtally() {
        return withUsage(this::capture);
    }

    @Benchmark
    public long reads() {
        return withUsage(this::readTo);
    }

    @Benchmark
    public long doOnNext() {
        return withUsage(this::doOnNextTo);
    }

    @Benchmark
    public long tap() {
        return withUsage(this::tapTo);
    }

    @Benchmark
    public long aggregator() {
        return withUsage(this::aggregate);
    }
}
