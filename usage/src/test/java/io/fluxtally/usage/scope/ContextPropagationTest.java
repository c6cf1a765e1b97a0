package io.fluxtally.usage.scope;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.scope.propagation.UsageScopeThreadLocalAccessor;
import io.micrometer.context.ContextExecutorService;
import io.micrometer.context.ContextRegistry;
import io.micrometer.context.ContextSnapshot;
import io.micrometer.context.ContextSnapshotFactory;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.util.context.Context;

class ContextPropagationTest {

    private final ContextSnapshotFactory snapshots =
            ContextSnapshotFactory.builder().build();
    private final RunScope run = RunScope.start("run");

    @AfterEach
    void threadIsLeftClean() {
        boolean clean = ThreadScope.get() == null;
        ThreadScope.set(null);
        assertThat(clean).isTrue();
    }

    @Test
    @DisplayName("the service loader finds the accessor, under the key of the Reactor context")
    void found() {
        assertThat(ContextRegistry.getInstance().getThreadLocalAccessors())
                .filteredOn(accessor -> accessor.key().equals(UsageScope.KEY))
                .singleElement()
                .isInstanceOf(UsageScopeThreadLocalAccessor.class);
    }

    @Test
    @DisplayName("T18: a snapshot carries the scope over a thread hop and leaves the other thread as it was")
    void snapshot() throws Exception {
        ContextSnapshot snapshot;
        try (var binding = run.bind()) {
            assertThat(binding).isNotNull();
            snapshot = snapshots.captureAll();
        }

        UsageScope[] seen = Threads.call(() -> {
            UsageScope during;
            try (var scope = snapshot.setThreadLocals()) {
                assertThat(scope).isNotNull();
                during = UsageScope.current();
            }
            return new UsageScope[] {during, UsageScope.current()};
        });

        assertThat(seen).containsExactly(run, null);
    }

    @Test
    @DisplayName("a snapshot over a bound thread gives it back the scope that it had")
    void restoresPrevious() {
        RunScope other = RunScope.start("other");
        ContextSnapshot snapshot = snapshots.captureFrom(run.writeTo(Context.empty()));

        try (var binding = other.bind()) {
            assertThat(binding).isNotNull();
            try (var scope = snapshot.setThreadLocals()) {
                assertThat(scope).isNotNull();
                assertThat(UsageScope.current()).isSameAs(run);
            }
            assertThat(UsageScope.current()).isSameAs(other);
        }
    }

    @Test
    @DisplayName("a snapshot of a thread without scope can clear that of another")
    void clears() {
        ContextSnapshotFactory clearing =
                ContextSnapshotFactory.builder().clearMissing(true).build();
        ContextSnapshot empty = clearing.captureAll();

        try (var binding = run.bind()) {
            assertThat(binding).isNotNull();
            try (var scope = empty.setThreadLocals()) {
                assertThat(scope).isNotNull();
                assertThat(UsageScope.current()).isNull();
            }
            assertThat(UsageScope.current()).isSameAs(run);
        }
    }

    @Test
    @DisplayName("T18: an executor wrapped by context-propagation carries the scope to its tasks")
    void executor() throws Exception {
        ExecutorService plain = Executors.newSingleThreadExecutor();
        try {
            ExecutorService wrapped = ContextExecutorService.wrap(plain, snapshots);
            UsageScope seen =
                    run.call(() -> wrapped.submit(() -> UsageScope.current()).get(60, TimeUnit.SECONDS));

            assertThat(seen).isSameAs(run);
            assertThat(plain.submit(() -> UsageScope.current()).get(60, TimeUnit.SECONDS))
                    .isNull();
        } finally {
            plain.shutdownNow();
        }
    }

    @Test
    @DisplayName("T18: contextCapture takes the thread's scope into the Reactor context, and so over a hop")
    void contextCapture() throws Exception {
        UsageScope seen = run.call(() -> Mono.deferContextual(context -> Mono.justOrEmpty(UsageScope.current(context)))
                .subscribeOn(Schedulers.boundedElastic())
                .contextCapture()
                .block());

        assertThat(seen).isSameAs(run);
    }

    @Test
    @DisplayName(
            "a handler sees the Reactor context's scope on its thread once Observation-style handling is asked for")
    void handle() {
        UsageScope seen = run.wrap(Mono.just("element")
                        .hide()
                        .<UsageScope>handle((element, sink) ->
                                sink.next(UsageScope.current() == null ? RunScope.start("none") : UsageScope.current()))
                        .contextCapture())
                .block();

        assertThat(seen).isSameAs(run);
    }
}
