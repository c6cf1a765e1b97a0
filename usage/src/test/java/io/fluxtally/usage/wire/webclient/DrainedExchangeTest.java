package io.fluxtally.usage.wire.webclient;

import static io.fluxtally.usage.wire.Frames.events;
import static io.fluxtally.usage.wire.Frames.openAi;
import static io.fluxtally.usage.wire.Frames.openAiFinish;
import static io.fluxtally.usage.wire.Frames.openAiUsageOnly;
import static io.fluxtally.usage.wire.Frames.promptTokens;
import static io.fluxtally.usage.wire.TapUnderTest.EVENTS;
import static io.fluxtally.usage.wire.TapUnderTest.OPENAI_PATH;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.Drain;
import io.fluxtally.usage.wire.TapUnderTest;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DefaultDataBufferFactory;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatus;
import org.springframework.web.reactive.function.client.ClientRequest;
import org.springframework.web.reactive.function.client.ClientResponse;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;
import reactor.test.publisher.TestPublisher;

/** What becomes of an exchange that the app has left, signal by signal. */
class DrainedExchangeTest {

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
        TapUnderTest tap = TapUnderTest.with(settings -> settings.drain(drain));
        tap.onBooked(() -> booked.addAll(tap.drain()));
        ClientRequest request = ClientRequest.create(HttpMethod.POST, URI.create("http://localhost" + OPENAI_PATH))
                .build();
        return new WireTapExchangeFilter(tap.tap())
                .filter(request, next -> head.mono())
                .contextWrite(scope::writeTo);
    }

    private static ClientResponse response(Flux<DataBuffer> body) {
        return ClientResponse.create(HttpStatus.OK)
                .header(HttpHeaders.CONTENT_TYPE, EVENTS)
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
}
