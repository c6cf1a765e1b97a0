package io.fluxtally.graph.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.checkpoint.Checkpoint.Status;
import java.time.Instant;
import java.util.UUID;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

/** What holds for every saver. */
@Timeout(120)
public abstract class CheckpointSaverContract {

    private final String thread = UUID.randomUUID().toString();

    /** The saver, which may have other threads' checkpoints. */
    protected abstract CheckpointSaver saver();

    private static Checkpoint checkpoint(String thread, long number, String text) {
        return new Checkpoint(thread, number, Status.RUNNING, Instant.parse("2026-01-31T12:00:00.123456789Z"), text);
    }

    @Test
    @DisplayName("gives back what it was given, to the last character")
    void roundTrip() {
        Checkpoint one = checkpoint(thread, 1, "{\"text\":\"雨 ☂ \\u0000 ' \\\\ " + "x".repeat(200_000) + "\"}");

        saver().save(one).block();

        assertThat(saver().last(thread).block()).isEqualTo(one);
        assertThat(saver().load(thread, 1).block()).isEqualTo(one);
    }

    @Test
    @DisplayName("has the last one by its number, and all of them the last one first")
    void order() {
        for (long number = 1; number <= 11; number++) {
            saver().save(checkpoint(thread, number, "n" + number)).block();
        }

        assertThat(saver().last(thread).block().document()).isEqualTo("n11");
        assertThat(saver().load(thread, 2).block().document()).isEqualTo("n2");
        assertThat(saver().history(thread).map(Checkpoint::number).collectList().block())
                .startsWith(11L, 10L, 9L)
                .hasSize(11);
    }

    @Test
    @DisplayName("has nothing of a thread that is not there, and deletes no other")
    void threads() {
        saver().save(checkpoint(thread, 1, "mine")).block();

        saver().delete(thread + "x").block();
        assertThat(saver().last(thread + "x").block()).isNull();
        assertThat(saver().load(thread, 2).block()).isNull();
        assertThat(saver().history(thread + "x").collectList().block()).isEmpty();
        assertThat(saver().last(thread).block()).isNotNull();

        saver().delete(thread).block();
        assertThat(saver().last(thread).block()).isNull();
    }

    @Test
    @DisplayName("keeps of two with the same number the one that came first")
    void conflict() {
        saver().save(checkpoint(thread, 1, "first")).block();

        StepVerifier.create(saver().save(checkpoint(thread, 1, "second")))
                .verifyErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(CheckpointConflictException.class)
                        .hasMessageStartingWith("checkpoint 1 is not the next one of thread \"%s\"".formatted(thread)));
        assertThat(saver().last(thread).block().document()).isEqualTo("first");
    }

    @Test
    @DisplayName("leaves no gap, so that nobody writes behind another, or into a thread that was deleted")
    void gap() {
        StepVerifier.create(saver().save(checkpoint(thread, 2, "second")))
                .verifyError(CheckpointConflictException.class);
        saver().save(checkpoint(thread, 1, "first")).block();
        StepVerifier.create(saver().save(checkpoint(thread, 3, "third")))
                .verifyError(CheckpointConflictException.class);

        assertThat(saver().history(thread).map(Checkpoint::number).collectList().block())
                .containsExactly(1L);
    }

    @Test
    @DisplayName("lets one of many win that save the same number at once")
    void race() {
        long won = Flux.range(0, 16)
                .flatMap(
                        i -> saver().save(checkpoint(thread, 1, "by " + i))
                                .thenReturn(1)
                                .onErrorResume(CheckpointConflictException.class, lost -> Mono.just(0))
                                .subscribeOn(Schedulers.parallel()),
                        16)
                .filter(one -> one == 1)
                .count()
                .block();

        assertThat(won).isEqualTo(1);
    }

    @Test
    @DisplayName("does nothing before it is subscribed to")
    void lazy() {
        Mono<Void> saving = saver().save(checkpoint(thread, 1, "one"));
        assertThat(saver().last(thread).block()).isNull();

        saving.block();
        assertThat(saver().last(thread).block()).isNotNull();
    }
}
