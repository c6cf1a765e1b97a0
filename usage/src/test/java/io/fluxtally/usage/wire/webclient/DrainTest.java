package io.fluxtally.usage.wire.webclient;

import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.PARTIAL;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static io.fluxtally.usage.wire.Frames.dashScope;
import static io.fluxtally.usage.wire.Frames.dashScopeEvents;
import static io.fluxtally.usage.wire.Frames.events;
import static io.fluxtally.usage.wire.Frames.openAi;
import static io.fluxtally.usage.wire.Frames.openAiFinish;
import static io.fluxtally.usage.wire.Frames.openAiUsageOnly;
import static io.fluxtally.usage.wire.Frames.promptTokens;
import static io.fluxtally.usage.wire.Frames.tokens;
import static io.fluxtally.usage.wire.TapUnderTest.DASHSCOPE_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.EVENTS;
import static io.fluxtally.usage.wire.TapUnderTest.OPENAI_PATH;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.wire.Drain;
import io.fluxtally.usage.wire.Loopback;
import io.fluxtally.usage.wire.TapUnderTest;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** What becomes of a response that the app has left, over real HTTP. */
class DrainTest {

    private static final Duration GENEROUS = Duration.ofSeconds(60);
    private static final Drain LIMIT = Drain.upTo(GENEROUS, 1_000_000);

    private static final String BEGIN = events(openAi("a", "null"));
    private static final String REST =
            events(openAi("b", "null"), openAiFinish("null"), openAiUsageOnly(promptTokens(24, 13)), "[DONE]");

    private final BlockingQueue<RequestUsage> booked = new LinkedBlockingQueue<>();
    private final Sinks.One<String> rest = Sinks.one();
    private final CountDownLatch left = new CountDownLatch(1);
    private final RunScope run = RunScope.start();
    private Loopback server;

    @BeforeEach
    void start() {
        server = Loopback.start();
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private TapUnderTest draining(Drain drain) {
        TapUnderTest tap = TapUnderTest.with(settings -> settings.drain(drain));
        tap.onBooked(() -> booked.addAll(tap.drain()));
        return tap;
    }

    private Flux<String> stream(TapUnderTest tap, String path) {
        return run.wrap(bareStream(tap, path));
    }

    private Flux<String> bareStream(TapUnderTest tap, String path) {
        return WebClient.builder()
                .baseUrl(server.url())
                .filter(new WireTapExchangeFilter(tap.tap()))
                .build()
                .post()
                .uri(path)
                .bodyValue("{}")
                .retrieve()
                .bodyToFlux(String.class);
    }

    /** A response that begins, and goes on when the test says how. */
    private void answers(String path, String begin) {
        server.on(path, Loopback.hanging(EVENTS, Flux.just(begin).concatWith(rest.asMono()), left));
    }

    private RequestUsage booking() throws InterruptedException {
        RequestUsage request = booked.poll(60, TimeUnit.SECONDS);
        assertThat(request).isNotNull();
        return request;
    }

    private void awaitServerLeft() throws InterruptedException {
        assertThat(left.await(60, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    @DisplayName("T7: the usage that comes after the app has left is booked as reported, and the app saw only its own")
    void usageAfterTheCancel() throws Exception {
        answers(OPENAI_PATH, BEGIN);

        List<String> seen =
                stream(draining(LIMIT), OPENAI_PATH).take(1).collectList().block(GENEROUS);
        assertThat(seen).hasSize(1);
        assertThat(run.usage().inFlight()).isEqualTo(1);
        assertThat(run.usage().isComplete()).isFalse();
        assertThat(booked).isEmpty();
        rest.tryEmitValue(REST);

        RequestUsage request = booking();
        assertThat(request.usage()).isEqualTo(TokenUsage.of(24, 13));
        assertThat(request.source()).isEqualTo(REPORTED);
        assertThat(request.outcome()).isEqualTo(CANCELLED);
        assertThat(request.runId()).isEqualTo(run.runId());
        awaitServerLeft();
        assertThat(run.usage().isComplete()).isTrue();
        assertThat(run.usage().total()).isEqualTo(TokenUsage.of(24, 13));
    }

    @Test
    @DisplayName("a response that is finished is not read on")
    void finished() throws Exception {
        answers(OPENAI_PATH, BEGIN + REST);

        stream(draining(LIMIT), OPENAI_PATH).take(2).blockLast(GENEROUS);

        assertThat(booking().outcome()).isEqualTo(COMPLETED);
        awaitServerLeft();
    }

    @Test
    @DisplayName("what exceeds the limit of bytes is cut, and keeps its running figure")
    void limitOfBytes() throws Exception {
        answers(DASHSCOPE_PATH, dashScopeEvents(dashScope("a", "null", tokens(26, 1))));

        stream(draining(Drain.upTo(GENEROUS, 100)), DASHSCOPE_PATH).take(1).blockLast(GENEROUS);
        rest.tryEmitValue(dashScopeEvents(dashScope("b", "null", tokens(26, 2))));

        RequestUsage request = booking();
        assertThat(request.usage()).isEqualTo(TokenUsage.of(26, 2));
        assertThat(request.source()).isEqualTo(PARTIAL);
        assertThat(request.outcome()).isEqualTo(CANCELLED);
        awaitServerLeft();
    }

    @Test
    @DisplayName("what exceeds the limit of time is cut")
    void limitOfTime() throws Exception {
        answers(OPENAI_PATH, BEGIN);

        stream(draining(Drain.upTo(Duration.ofMillis(1), 1_000_000)), OPENAI_PATH)
                .take(1)
                .blockLast(GENEROUS);

        RequestUsage request = booking();
        assertThat(request.source()).isEqualTo(MISSING);
        assertThat(request.outcome()).isEqualTo(CANCELLED);
        awaitServerLeft();
        assertThat(run.usage().inFlight()).isZero();
    }

    @Test
    @DisplayName("more responses at once than may be are cancelled at once, and counted")
    void atOnce() throws Exception {
        answers(OPENAI_PATH, BEGIN);
        CountDownLatch secondLeft = new CountDownLatch(1);
        String second = "/second" + OPENAI_PATH;
        server.on(second, Loopback.hanging(EVENTS, Flux.just(BEGIN), secondLeft));
        TapUnderTest tap = draining(LIMIT.atOnce(1));

        stream(tap, OPENAI_PATH).take(1).blockLast(GENEROUS);
        stream(tap, second).take(1).blockLast(GENEROUS);

        assertThat(booking().source()).isEqualTo(MISSING);
        assertThat(secondLeft.await(60, TimeUnit.SECONDS)).isTrue();
        assertThat(tap.tap().refusedDrains()).isEqualTo(1);
        rest.tryEmitValue(REST);
        assertThat(booking().source()).isEqualTo(REPORTED);

        // The place is free again.
        CountDownLatch thirdLeft = new CountDownLatch(1);
        Sinks.One<String> thirdRest = Sinks.one();
        String third = "/third" + OPENAI_PATH;
        server.on(third, Loopback.hanging(EVENTS, Flux.just(BEGIN).concatWith(thirdRest.asMono()), thirdLeft));
        awaitServerLeft();
        stream(tap, third).take(1).blockLast(GENEROUS);
        thirdRest.tryEmitValue(REST);
        assertThat(booking().source()).isEqualTo(REPORTED);
        assertThat(tap.tap().refusedDrains()).isEqualTo(1);
    }

    @Test
    @DisplayName("a response that breaks while it is drained keeps what was reported, and nobody sees the error")
    void breaks() throws Exception {
        Sinks.Empty<Void> reset = Sinks.empty();
        server.on(
                DASHSCOPE_PATH,
                Loopback.reset(EVENTS, Flux.just(dashScopeEvents(dashScope("a", "null", tokens(26, 1)))), reset));

        stream(draining(LIMIT), DASHSCOPE_PATH).take(1).blockLast(GENEROUS);
        reset.tryEmitEmpty();

        RequestUsage request = booking();
        assertThat(request.usage()).isEqualTo(TokenUsage.of(26, 1));
        assertThat(request.source()).isEqualTo(PARTIAL);
        assertThat(request.outcome()).isEqualTo(CANCELLED);
    }

    @Test
    @DisplayName("an error that the provider reports while it is drained is a failure")
    void providerFails() throws Exception {
        answers(OPENAI_PATH, BEGIN);

        stream(draining(LIMIT), OPENAI_PATH).take(1).blockLast(GENEROUS);
        rest.tryEmitValue(events("{\"error\":{\"message\":\"overloaded\"}}", "[DONE]"));

        assertThat(booking().outcome()).isEqualTo(FAILED);
    }

    @Test
    @DisplayName("a response that the app leaves before it has begun is read all the same")
    void beforeTheResponse() throws Exception {
        CountDownLatch came = new CountDownLatch(1);
        Sinks.One<String> whole = Sinks.one();
        server.on(OPENAI_PATH, (request, response) -> {
            came.countDown();
            return whole.asMono()
                    .flatMap(body ->
                            Mono.from(Loopback.parts(EVENTS, Flux.just(body)).to(request, response)));
        });

        var app = stream(draining(LIMIT), OPENAI_PATH).subscribe();
        assertThat(came.await(60, TimeUnit.SECONDS)).isTrue();
        app.dispose();
        assertThat(run.usage().inFlight()).isEqualTo(1);
        whole.tryEmitValue(BEGIN + REST);

        RequestUsage request = booking();
        assertThat(request.usage()).isEqualTo(TokenUsage.of(24, 13));
        assertThat(request.source()).isEqualTo(REPORTED);
        assertThat(request.outcome()).isEqualTo(CANCELLED);
    }

    @Test
    @DisplayName("what is no request to a model is cancelled at once")
    void noModel() throws Exception {
        answers("/orders", "data: one\n\n");

        stream(draining(LIMIT), "/orders").take(1).blockLast(GENEROUS);

        awaitServerLeft();
        assertThat(booked).isEmpty();
    }

    @Test
    @DisplayName("a call that ends leaves the booking to the drain")
    void insideACall() throws Exception {
        answers(OPENAI_PATH, BEGIN);
        ModelCall call = ModelCall.open(run, "gpt-4o");

        bareStream(draining(LIMIT), OPENAI_PATH)
                .contextWrite(call::writeTo)
                .take(1)
                .blockLast(GENEROUS);
        assertThat(call.end()).isFalse();
        call.close();
        assertThat(booked).isEmpty();
        rest.tryEmitValue(REST);

        RequestUsage request = booking();
        assertThat(request.source()).isEqualTo(REPORTED);
        assertThat(request.callId()).isNotNull();
        // Who hears of a booking hears it before the request is over; the provider is left after that.
        awaitServerLeft();
        assertThat(run.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("a call that ends before its cancel has come to the wire leaves the booking to the drain too")
    void callBeforeCancel() throws Exception {
        answers(OPENAI_PATH, BEGIN);
        ModelCall call = ModelCall.open(run, "gpt-4o");
        CountDownLatch begun = new CountDownLatch(1);

        var app = bareStream(draining(LIMIT), OPENAI_PATH)
                .contextWrite(call::writeTo)
                .subscribe(element -> begun.countDown());
        assertThat(begun.await(60, TimeUnit.SECONDS)).isTrue();
        assertThat(call.end()).isFalse();
        call.close();
        app.dispose();
        assertThat(booked).isEmpty();
        rest.tryEmitValue(REST);

        assertThat(booking().source()).isEqualTo(REPORTED);
        awaitServerLeft();
    }

    @Test
    @DisplayName("a whole stream passes a draining tap as it is")
    void whole() throws Exception {
        answers(OPENAI_PATH, BEGIN);
        rest.tryEmitValue(REST);
        String[] bare = WebClient.create(server.url())
                .post()
                .uri(OPENAI_PATH)
                .bodyValue("{}")
                .retrieve()
                .bodyToFlux(String.class)
                .take(5)
                .collectList()
                .block(GENEROUS)
                .toArray(String[]::new);

        assertThat(stream(draining(LIMIT), OPENAI_PATH).take(5).collectList().block(GENEROUS))
                .containsExactly(bare);
        assertThat(booking().outcome()).isEqualTo(COMPLETED);
    }

    @Test
    @DisplayName("a limit that is not positive is refused by name")
    void badLimits() {
        assertThatThrownBy(() -> Drain.upTo(Duration.ZERO, 1)).hasMessage("time must be positive, but is PT0S");
        assertThatThrownBy(() -> Drain.upTo(GENEROUS, 0)).hasMessage("bytes must be positive, but is 0");
        assertThatThrownBy(() -> LIMIT.atOnce(0)).hasMessage("atOnce must be positive, but is 0");
        assertThatThrownBy(() -> new Drain(null, 1, 1)).hasMessage("time");
        assertThat(LIMIT.atOnce()).isEqualTo(Drain.DEFAULT_AT_ONCE);
    }
}
