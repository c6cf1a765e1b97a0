package io.fluxtally.usage.scope;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.test.util.RaceTestUtils;

class UsageRecorderTest {

    private final RunScope run = RunScope.start("run");
    private final List<String> heard = new ArrayList<>();

    private static RequestUsage request(String id) {
        return RequestUsage.builder(id, Instant.EPOCH)
                .usage(TokenUsage.of(10, 1), UsageSource.REPORTED)
                .build();
    }

    @Test
    @DisplayName("a request is booked to its run, to the process, and to every sink in order")
    void books() {
        UsageRecorder recorder = UsageRecorder.withSinks(
                request -> heard.add("first " + request.requestId()),
                request -> heard.add("second " + request.requestId()));

        recorder.book(run, request("a"));
        recorder.book(run, request("b"));

        assertThat(heard).containsExactly("first a", "second a", "first b", "second b");
        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(20, 2));
        assertThat(recorder.processSum().total()).isEqualTo(TokenUsage.of(20, 2));
        assertThat(recorder.processSum().requests()).isEqualTo(2);
        assertThat(recorder.unattributed()).isZero();
    }

    @Test
    @DisplayName("a sink that is added hears what comes from then on, behind the others, until it is taken off")
    void added() {
        UsageRecorder recorder = UsageRecorder.withSinks(request -> heard.add("first " + request.requestId()));
        UsageSink sink = request -> heard.add("added " + request.requestId());

        recorder.book(run, request("a"));
        Disposable once = recorder.addSink(sink);
        Disposable again = recorder.addSink(sink);
        recorder.book(run, request("b"));
        once.dispose();
        once.dispose();
        recorder.book(run, request("c"));
        again.dispose();
        recorder.book(run, request("d"));

        assertThat(heard).containsExactly("first a", "first b", "added b", "added b", "first c", "added c", "first d");
    }

    @Test
    @DisplayName("a sink hears a request when its run has it already")
    void runFirst() {
        UsageRecorder recorder =
                UsageRecorder.withSinks(request -> heard.add(run.getTokenUsage().inputTokens() + " in the run"));

        recorder.book(run, request("a"));

        assertThat(heard).containsExactly("10 in the run");
    }

    @Test
    @DisplayName("a request offered twice reaches the run, the process and the sinks once")
    void twice() {
        UsageRecorder recorder = UsageRecorder.withSinks(request -> heard.add(request.requestId()));

        recorder.book(run, request("a"));
        recorder.book(run, request("a"));

        assertThat(heard).containsExactly("a");
        assertThat(run.usage().requests()).hasSize(1);
        assertThat(recorder.processSum().requests()).isEqualTo(1);
    }

    @Test
    @DisplayName("a request that found no run is in the process-wide sum, reaches the sinks, and is unattributed")
    void unattributed() {
        UsageRecorder recorder = UsageRecorder.withSinks(request -> heard.add(request.requestId()));

        recorder.book(null, request("a"));

        assertThat(heard).containsExactly("a");
        assertThat(recorder.unattributed()).isEqualTo(1);
        assertThat(recorder.processSum().total()).isEqualTo(TokenUsage.of(10, 1));
        assertThat(run.usage().requests()).isEmpty();
    }

    @Test
    @DisplayName("T22: a failing sink breaks neither the booking nor the sinks after it, and is counted")
    void failingSink() {
        UsageRecorder recorder = UsageRecorder.withSinks(
                request -> {
                    throw new IllegalStateException("sink");
                },
                request -> {
                    throw new StackOverflowError("deep sink");
                },
                request -> heard.add(request.requestId()));
        long before = MeasuringFailures.count();

        assertThatCode(() -> recorder.book(run, request("a"))).doesNotThrowAnyException();

        assertThat(heard).containsExactly("a");
        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(10, 1));
        assertThat(recorder.processSum().requests()).isEqualTo(1);
        assertThat(MeasuringFailures.count() - before).isEqualTo(2);
    }

    @Test
    @DisplayName("T22: a sink that books what it hears does not go round in circles")
    void sinkThatBooks() {
        UsageRecorder[] self = new UsageRecorder[1];
        self[0] = UsageRecorder.withSinks(request -> {
            heard.add(request.requestId());
            self[0].book(run, request);
        });

        self[0].book(run, request("a"));

        assertThat(heard).containsExactly("a");
    }

    @Test
    @DisplayName("the process-wide sum loses nothing when threads book at once")
    void race() {
        int each = 100_000;
        UsageRecorder recorder = UsageRecorder.withSinks();

        RaceTestUtils.race(() -> bookMany(recorder, "left-", each), () -> bookMany(recorder, "right-", each));

        assertThat(recorder.processSum().requests()).isEqualTo(2L * each);
        assertThat(recorder.processSum().total()).isEqualTo(TokenUsage.of(20L * each, 2L * each));
        assertThat(recorder.unattributed()).isEqualTo(2L * each);
    }

    private static void bookMany(UsageRecorder recorder, String prefix, int count) {
        for (int i = 0; i < count; i++) {
            recorder.book(null, request(prefix + i));
        }
    }

    @Test
    @DisplayName("each recorder has sums of its own, and the shared one is one")
    void separate() {
        UsageRecorder one = UsageRecorder.withSinks();
        UsageRecorder other = UsageRecorder.withSinks();

        one.book(null, request("a"));

        assertThat(other.processSum().requests()).isZero();
        assertThat(other.unattributed()).isZero();
        assertThat(UsageRecorder.shared()).isSameAs(UsageRecorder.shared());
    }
}
