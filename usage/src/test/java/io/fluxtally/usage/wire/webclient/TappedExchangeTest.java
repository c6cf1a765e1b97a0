package io.fluxtally.usage.wire.webclient;

import static io.fluxtally.usage.wire.Frames.events;
import static io.fluxtally.usage.wire.Frames.openAi;
import static io.fluxtally.usage.wire.Frames.openAiFinish;
import static io.fluxtally.usage.wire.Frames.openAiUsageOnly;
import static io.fluxtally.usage.wire.Frames.promptTokens;
import static io.fluxtally.usage.wire.TapUnderTest.EVENTS;
import static io.fluxtally.usage.wire.TapUnderTest.JSON;
import static io.fluxtally.usage.wire.TapUnderTest.OPENAI_PATH;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.Drain;
import io.fluxtally.usage.wire.TapUnderTest;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DefaultDataBufferFactory;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatus;
import org.springframework.web.reactive.function.client.ClientRequest;
import org.springframework.web.reactive.function.client.ClientResponse;
import reactor.core.CoreSubscriber;
import reactor.core.Disposable;
import reactor.core.Scannable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Signal;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;
import reactor.test.publisher.TestPublisher;
import reactor.util.context.Context;

/** What becomes of an exchange that the app has left, signal by signal. */
class TappedExchangeTest {

    private static final Drain LIMIT = Drain.upTo(Duration.ofSeconds(60), 1_000_000);
    private static final String BEGIN = events(openAi("a", "null"));
    private static final String REST =
            events(openAiFinish("null"), openAiUsageOnly(promptTokens(24, 13)), "[DONE]", openAi("x", "null"));

    private final RunScope run = RunScope.start();
    private final BlockingQueue<RequestUsage> booked = new LinkedBlockingQueue<>();
    private final TestPublisher<ClientResponse> head =
            TestPublisher.createNoncompliant(TestPublisher.Violation.CLEANUP_ON_TERMINATE);
    private final TestPublisher<DataBuffer> body = TestPublisher.create();

    private Mono<ClientResponse> exchange(Drain drain) {
        return exchange(drain, run);
    }

    private Mono<ClientResponse> exchange(Drain drain, UsageScope scope) {
        return inCall(drain).contextWrite(scope::writeTo);
    }

    private Mono<ClientResponse> inCall(@Nullable Drain drain) {
        TapUnderTest tap = TapUnderTest.with(settings -> settings.drain(drain));
        tap.onBooked(() -> booked.addAll(tap.drain()));
        ClientRequest request = ClientRequest.create(HttpMethod.POST, URI.create("http://localhost" + OPENAI_PATH))
                .build();
        return new WireTapExchangeFilter(tap.tap()).filter(request, next -> head.mono());
    }

    private static ClientResponse response(Flux<DataBuffer> body) {
        return response(EVENTS, body);
    }

    private static ClientResponse response(String contentType, Flux<DataBuffer> body) {
        return ClientResponse.create(HttpStatus.OK)
                .header(HttpHeaders.CONTENT_TYPE, contentType)
                .body(body)
                .build();
    }

    private static DataBuffer buffer(String text) {
        return DefaultDataBufferFactory.sharedInstance.wrap(text.getBytes(UTF_8));
    }

    private static Flux<String> texts(Mono<ClientResponse> exchange) {
        return exchange.flatMapMany(response -> response.bodyToFlux(String.class));
    }

    private RequestUsage booking() throws InterruptedException {
        RequestUsage request = booked.poll(60, TimeUnit.SECONDS);
        assertThat(request).isNotNull();
        return request;
    }

    @Test
    @DisplayName("an app that reads on after its call has ended reads all, though the drain is at its end or its limit")
    void readsOnAfterItsCall() throws Exception {
        for (Drain drain : List.of(LIMIT, Drain.upTo(Duration.ofSeconds(60), 1))) {
            ModelCall call = ModelCall.open(run, null);
            List<String> seen = new ArrayList<>();
            StepVerifier.create(texts(exchange(drain, call)).doOnNext(seen::add).then())
                    .then(() -> {
                        call.end();
                        call.close();
                        head.next(response(Flux.just(buffer(BEGIN), buffer(REST))));
                    })
                    .expectComplete()
                    .verify(Duration.ofSeconds(20));

            assertThat(seen).hasSize(5);
            booking();
        }
    }

    @Test
    @DisplayName("a response that comes when the drain is over is not read, and its connection not kept")
    void afterTheTime() throws Exception {
        texts(exchange(Drain.upTo(Duration.ofMillis(1), 1_000_000))).subscribe().dispose();
        assertThat(booking().source()).isEqualTo(UsageSource.MISSING);

        head.next(response(body.flux()));

        body.assertCancelled();
    }

    @Test
    @DisplayName("a response that nobody sees is stopped when all is learnt, and an error in it is nobody's")
    void unseen() throws Exception {
        texts(exchange(LIMIT)).subscribe().dispose();
        head.assertNotCancelled();
        head.next(response(body.flux()));
        body.next(buffer(BEGIN));
        body.assertNotCancelled();
        body.next(buffer(REST));

        assertThat(booking().usage()).isEqualTo(TokenUsage.of(24, 13));
        body.assertCancelled(1);
        head.assertCancelled(1);
    }

    @Test
    @DisplayName("an app that cancels the body before the exchange has the body stopped")
    void bodyFirst() throws Exception {
        Disposable app = exchange(Drain.upTo(Duration.ofSeconds(60), 1))
                .flux()
                .concatMap(response -> response.bodyToFlux(String.class))
                .subscribe();
        head.next(response(body.flux()));
        body.next(buffer(BEGIN));
        app.dispose();
        body.assertNotCancelled();
        body.next(buffer(BEGIN));

        booking();
        body.assertCancelled(1);
    }

    @Test
    @DisplayName("a response that the app left before it asked for it is asked for")
    void neverAskedFor() throws Exception {
        exchange(LIMIT).subscribe(new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                subscription.cancel();
            }
        });
        head.assertMinRequested(1);
        head.next(response(Flux.just(buffer(BEGIN + REST))));

        assertThat(booking().source()).isEqualTo(UsageSource.REPORTED);
    }

    /** The way of Spring AI's clients, which pass a cancel on with the next element only. */
    private static <T> Flux<T> deaf(Flux<T> stream) {
        return stream.windowUntil(element -> true)
                .concatMapIterable(window -> List.of(window.reduce((a, b) -> b)))
                .flatMap(last -> last);
    }

    private Flux<ChatResponse> call(Flux<?> answer) {
        return run.wrap(ChatUsage.capture(answer.map(text -> new ChatResponse(List.of())), UsageRecorder.withSinks()));
    }

    private Disposable leavable(@Nullable Drain drain) {
        return call(deaf(texts(inCall(drain)))).subscribe();
    }

    @Test
    @DisplayName(
            "T7: a call that is left stops its exchange, though the client does not, and lets go of what still comes")
    void stopsTheExchange() throws Exception {
        leavable(null).dispose();

        head.assertCancelled(1);
        assertThat(booking().source()).isEqualTo(UsageSource.MISSING);
        assertThat(run.usage().inFlight()).isZero();
        head.next(response(body.flux()));
        body.assertWasSubscribed();
        body.assertCancelled();
    }

    @Test
    @DisplayName("T7: a call that is left stops a body that is silent")
    void stopsTheBody() throws Exception {
        Disposable app = leavable(null);
        head.next(response(body.flux()));
        body.next(buffer(BEGIN));
        app.dispose();

        body.assertCancelled(1);
        assertThat(booking().outcome()).isEqualTo(RequestOutcome.CANCELLED);
        assertThat(run.usage().inFlight()).isZero();
    }

    @Test
    @DisplayName("a body is not stopped in the middle of a line, but as soon as it is through")
    void notWithinALine() {
        Disposable app = leavable(null);
        head.next(response(body.flux()));
        body.next(buffer(BEGIN + ": keep"));
        app.dispose();
        body.assertNotCancelled();
        body.next(buffer(" alive"));
        body.assertNotCancelled();
        body.next(buffer("\n"));

        body.assertCancelled(1);
    }

    @Test
    @DisplayName("a document is not stopped once a part of it came, which its reader holds until its end")
    void notWithinADocument() {
        Disposable app = leavable(null);
        head.next(response(JSON, body.flux()));
        body.next(buffer("{\n"));
        app.dispose();

        body.assertNotCancelled();
    }

    @Test
    @DisplayName("T7: a call that fails stops what it does not wait for any more")
    void stopsWhenTheCallFails() {
        Sinks.One<String> failing = Sinks.one();
        call(Flux.merge(deaf(texts(inCall(null))), failing.asMono()))
                .onErrorComplete()
                .subscribe();
        head.next(response(body.flux()));
        body.next(buffer(BEGIN));
        failing.tryEmitError(new IllegalStateException());

        body.assertCancelled(1);
    }

    @Test
    @DisplayName("a call that completes stops nothing: its client reads on")
    void readsOnAfterCompletion() throws Exception {
        AtomicBoolean completed = new AtomicBoolean();
        List<String> seen = new ArrayList<>();
        call(new CompletedBefore(texts(inCall(null)).doOnNext(seen::add)))
                .doOnComplete(() -> completed.set(true))
                .subscribe();
        head.next(response(body.flux()));
        body.next(buffer(BEGIN));

        assertThat(completed).isTrue();
        booking();
        head.assertNotCancelled();
        body.assertNotCancelled();
        body.next(buffer(BEGIN));
        assertThat(seen).hasSize(2);
    }

    /** Completes with the first element, which is passed on, and reads on. */
    private static final class CompletedBefore extends FluxOperator<String, String> {

        CompletedBefore(Flux<String> source) {
            super(source);
        }

        @Override
        public void subscribe(CoreSubscriber<? super String> actual) {
            source.subscribe(new Reader(actual));
        }

        private static final class Reader implements CoreSubscriber<String>, Scannable {

            private final CoreSubscriber<? super String> actual;

            Reader(CoreSubscriber<? super String> actual) {
                this.actual = actual;
            }

            @Override
            public Context currentContext() {
                return actual.currentContext();
            }

            @Override
            public void onSubscribe(Subscription subscription) {
                actual.onSubscribe(subscription);
            }

            @Override
            public void onNext(String element) {
                actual.onComplete();
            }

            @Override
            public void onError(Throwable error) {}

            @Override
            public void onComplete() {}

            @Override
            @SuppressWarnings("rawtypes") // as Scannable declares it
            public @Nullable Object scanUnsafe(Attr key) {
                return key == Attr.ACTUAL ? actual : null;
            }
        }
    }

    @Test
    @DisplayName("a call that is left does not stop an exchange that it shares with another call")
    void shared() {
        Flux<String> answer = deaf(texts(inCall(null))).share();
        List<Object> seen = new ArrayList<>();
        Disposable first = call(answer).subscribe();
        Disposable second = call(answer).subscribe(seen::add);
        head.next(response(body.flux()));
        body.next(buffer(BEGIN));
        first.dispose();
        body.assertNotCancelled();
        body.next(buffer(BEGIN));
        assertThat(seen).isNotEmpty();

        second.dispose();
    }

    @Test
    @DisplayName("T7: every request of a call that is left is stopped, and what the client hears of it is nothing")
    void stopsAll() {
        List<Signal<String>> heard = new ArrayList<>();
        call(Flux.merge(deaf(texts(inCall(null)).materialize().doOnNext(heard::add)), deaf(texts(inCall(null)))))
                .subscribe()
                .dispose();
        head.assertCancelled(2);
        head.error(new IllegalStateException());

        assertThat(heard).isEmpty();
    }

    @Test
    @DisplayName("T7: a drained body is stopped when the drain is over, though the client does not cancel")
    void stopsAfterTheDrain() throws Exception {
        CountDownLatch stopped = new CountDownLatch(1);
        Disposable app = leavable(Drain.upTo(Duration.ofMillis(1), 1_000_000));
        head.next(response(body.flux().doOnCancel(stopped::countDown)));
        body.next(buffer(BEGIN));
        app.dispose();

        booking();
        assertThat(stopped.await(60, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    @DisplayName("T7: a request that a call makes when it was left already is stopped")
    void late() throws Exception {
        ModelCall call = ModelCall.open(run, null);
        AtomicInteger stops = new AtomicInteger();
        call.endLeft();
        WireRequest request =
                TapUnderTest.create().tap().open(new RequestHead("POST", OPENAI_PATH, name -> false), call);
        request.stopsBy(stops::incrementAndGet);

        assertThat(stops).hasPositiveValue();
        assertThat(run.usage().requests()).hasSize(1);
    }
}
