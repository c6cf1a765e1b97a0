package io.fluxtally.boot.web;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import org.springframework.http.codec.ServerSentEvent;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.test.publisher.TestPublisher;
import reactor.util.context.Context;

class UsageEventsTest {

    private final UsageRuns runs = new UsageRuns(new RunHistory(10, 10, Duration.ofHours(1), 10));
    private final UsageRun run = runs.open("run-1");
    private final AtomicLong ids = new AtomicLong();

    private void book(long input, long output) {
        run.scope()
                .tally()
                .add(RequestUsage.builder("r" + ids.incrementAndGet(), Instant.EPOCH)
                        .usage(TokenUsage.of(input, output), UsageSource.REPORTED)
                        .build());
    }

    /** An event in few words: its data, or the total that it tells. */
    private static String words(ServerSentEvent<Object> event) {
        return event.data() instanceof Map<?, ?> usage
                ? event.event() + " " + usage.get("total_tokens")
                : String.valueOf(event.data());
    }

    private static Flux<String> words(Flux<ServerSentEvent<Object>> events) {
        return events.map(UsageEventsTest::words);
    }

    @Test
    @DisplayName("the use is told behind the element that it has grown by, and once more at the end")
    void toldWhenGrown() {
        Flux<String> data = Flux.just("a", "b", "c", "d").doOnNext(element -> {
            if (element.equals("b") || element.equals("c")) {
                book(10, 1);
            }
        });

        StepVerifier.create(words(UsageEvents.with(data, run)))
                .expectNext("a", "b", "usage 11", "c", "usage 22", "d", "usage 22")
                .verifyComplete();
    }

    @Test
    @DisplayName("tokens that no request reported are left out, and are not 0")
    void unknown() {
        run.scope().tally().add(RequestUsage.builder("missing", Instant.EPOCH).build());

        assertThat(UsageEvents.of(run).data())
                .asInstanceOf(InstanceOfAssertFactories.MAP)
                .containsEntry("requests", 1L)
                .containsEntry("unreported", 1L)
                .containsEntry("complete", false)
                .doesNotContainKeys("input_tokens", "output_tokens", "total_tokens");
    }

    @Test
    @DisplayName("what is booked with the end is in the last event")
    void toldAtEnd() {
        Flux<String> data = Flux.just("a").doOnComplete(() -> book(10, 1));

        StepVerifier.create(words(UsageEvents.with(data, run)))
                .expectNext("a", "usage 11")
                .verifyComplete();
    }

    @Test
    @DisplayName("without any data the use is told all the same, and so it is before an error")
    void emptyOrFailed() {
        StepVerifier.create(words(UsageEvents.with(Flux.empty(), run)))
                .expectNext("usage 0")
                .verifyComplete();
        StepVerifier.create(words(UsageEvents.with(
                        Flux.just("a").doOnNext(a -> book(10, 1)).concatWith(Mono.error(new IOException("reset"))),
                        run)))
                .expectNext("a", "usage 11", "usage 11")
                .verifyErrorMessage("reset");
    }

    @Test
    @DisplayName("each subscription tells anew")
    void resubscription() {
        book(10, 1);
        Flux<String> told = words(UsageEvents.with(Flux.just("a"), run));

        StepVerifier.create(told.repeat(1))
                .expectNext("a", "usage 11", "usage 11", "a", "usage 11", "usage 11")
                .verifyComplete();
    }

    @Test
    @DisplayName("a cancel goes to the data at once, and nothing is told after it")
    void cancel() {
        TestPublisher<String> data = TestPublisher.create();

        StepVerifier.create(words(UsageEvents.with(data.flux(), run)))
                .then(() -> data.next("a"))
                .expectNext("a")
                .thenCancel()
                .verify();

        data.assertCancelled();
    }

    @Test
    @DisplayName("an event stays as it is, and everything else becomes the data of one")
    void events() {
        ServerSentEvent<String> own =
                ServerSentEvent.builder("x").event("token").id("7").build();

        List<ServerSentEvent<Object>> events =
                UsageEvents.with(Flux.just(own), run).collectList().block();

        assertThat(events.get(0)).isSameAs(own);
        assertThat(events.get(1).event()).isEqualTo(UsageEvents.NAME);
    }

    @Test
    @DisplayName(
            "the JSON has the tokens, the parts that were reported, and how far it can be trusted, whatever names beans have")
    void json() throws Exception {
        ObjectMapper mapper = new ObjectMapper().setPropertyNamingStrategy(PropertyNamingStrategies.UPPER_CAMEL_CASE);
        assertThat(mapper.writeValueAsString(UsageEvents.of(run).data()))
                .isEqualTo("{\"run_id\":\"run-1\",\"input_tokens\":0,\"output_tokens\":0,\"total_tokens\":0,"
                        + "\"requests\":0,\"unreported\":0,\"complete\":true}");

        run.scope()
                .tally()
                .add(RequestUsage.builder("r", Instant.EPOCH)
                        .usage(
                                TokenUsage.builder()
                                        .inputTokens(460)
                                        .outputTokens(26)
                                        .totalTokens(500)
                                        .part(TokenPart.CACHE_READ_INPUT, 192)
                                        .part(TokenPart.REASONING_OUTPUT, 0)
                                        .build(),
                                UsageSource.PARTIAL)
                        .build());

        assertThat(mapper.writeValueAsString(UsageEvents.of(run).data()))
                .isEqualTo("{\"run_id\":\"run-1\",\"input_tokens\":460,\"output_tokens\":26,\"total_tokens\":500,"
                        + "\"cache_read_input_tokens\":192,\"reasoning_output_tokens\":0,"
                        + "\"requests\":1,\"unreported\":1,\"complete\":false}");
    }

    @Test
    @DisplayName("the data is asked for as much as its events are, and not more for what is put in")
    void demand() {
        List<Long> asked = new ArrayList<>();
        TestPublisher<String> data = TestPublisher.create();

        StepVerifier.create(words(UsageEvents.with(data.flux().doOnRequest(asked::add), run)), 0)
                .thenRequest(2)
                .then(() -> {
                    book(10, 1);
                    data.next("a");
                })
                .expectNext("a", "usage 11")
                // It waits: its place is taken.
                .then(() -> data.next("b"))
                .thenRequest(1)
                .expectNext("b")
                .thenRequest(1)
                .then(() -> data.next("c"))
                .expectNext("c")
                .then(data::complete)
                .thenRequest(1)
                .expectNext("usage 11")
                .verifyComplete();
        assertThat(asked).containsExactly(2L, 1L);
    }

    @Test
    @DisplayName("demand without bound is passed on without bound")
    void unbounded() {
        List<Long> asked = new ArrayList<>();

        UsageEvents.with(Flux.just("a").doOnRequest(asked::add), run).blockLast();

        assertThat(asked).containsExactly(Long.MAX_VALUE);
    }

    @Test
    @DisplayName("the Reactor context of whoever reads reaches the data")
    void context() {
        Flux<String> data = Flux.deferContextual(context -> Flux.just(context.<String>get("key")));

        StepVerifier.create(words(UsageEvents.with(data, run)).contextWrite(Context.of("key", "value")))
                .expectNext("value", "usage 0")
                .verifyComplete();
    }

    @Property(tries = 200)
    @Label(
            "at any demand, all data comes in its order, the use after what it has grown by, and no more than is asked for")
    void anyDemand(
            @ForAll @Size(max = 40) List<@IntRange(max = 1) Integer> growth,
            @ForAll @Size(min = 1, max = 8) List<@IntRange(min = 1, max = 5) Integer> demands) {
        List<String> expected = new ArrayList<>();
        long total = 0;
        for (int i = 0; i < growth.size(); i++) {
            expected.add("d" + i);
            total += growth.get(i);
            if (growth.get(i) > 0) {
                expected.add("usage " + total);
            }
        }
        expected.add("usage " + total);
        UsageRun one = runs.trackMono(Mono::just).block();
        AtomicLong askedOfData = new AtomicLong();
        Flux<String> data = Flux.range(0, growth.size())
                .doOnNext(i -> {
                    if (growth.get(i) > 0) {
                        one.scope()
                                .tally()
                                .add(RequestUsage.builder("g" + i, Instant.EPOCH)
                                        .usage(TokenUsage.of(1, 0), UsageSource.REPORTED)
                                        .build());
                    }
                })
                .map(i -> "d" + i)
                .doOnRequest(askedOfData::addAndGet);
        List<String> seen = new ArrayList<>();
        long[] asked = {0};
        boolean[] completed = {false};
        BaseSubscriber<String> reader = new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {}

            @Override
            protected void hookOnNext(String word) {
                seen.add(word);
            }

            @Override
            protected void hookOnComplete() {
                completed[0] = true;
            }
        };
        words(UsageEvents.with(data, one)).subscribe(reader);
        for (int i = 0; !completed[0]; i++) {
            int n = demands.get(i % demands.size());
            asked[0] += n;
            reader.request(n);
            assertThat(seen.size()).isLessThanOrEqualTo((int) asked[0]);
            assertThat(askedOfData.get()).isLessThanOrEqualTo(asked[0]);
            assertThat(completed[0] || seen.size() == asked[0]).isTrue();
        }
        assertThat(seen).isEqualTo(expected);
    }

    @Test
    @DisplayName("data and demand from different threads come through whole and in order")
    void threads() {
        int count = 5000;
        List<String> seen = words(UsageEvents.with(
                        Flux.range(0, count)
                                .doOnNext(i -> {
                                    if (i % 7 == 0) {
                                        book(1, 0);
                                    }
                                })
                                .publishOn(Schedulers.parallel(), 3),
                        run))
                .limitRate(5)
                .publishOn(Schedulers.single(), 4)
                .collectList()
                .block(Duration.ofSeconds(30));

        assertThat(seen.stream().filter(word -> !word.startsWith("usage")))
                .hasSize(count)
                .first()
                .isEqualTo("0");
        assertThat(seen.stream()
                        .filter(word -> !word.startsWith("usage"))
                        .map(Integer::valueOf)
                        .toList())
                .isSorted();
        assertThat(seen.get(seen.size() - 1)).isEqualTo("usage " + (count + 6) / 7);
    }
}
