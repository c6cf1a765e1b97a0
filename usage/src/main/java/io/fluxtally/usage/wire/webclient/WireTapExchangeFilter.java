package io.fluxtally.usage.wire.webclient;

import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.reactor.FluxTap;
import io.fluxtally.usage.reactor.StreamListener;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.http.HttpHeaders;
import org.springframework.web.reactive.function.client.ClientRequest;
import org.springframework.web.reactive.function.client.ClientResponse;
import org.springframework.web.reactive.function.client.ExchangeFilterFunction;
import org.springframework.web.reactive.function.client.ExchangeFunction;
import reactor.core.publisher.Mono;
import reactor.util.context.ContextView;

/**
 * Taps a {@code WebClient}: {@code WebClient.builder().filter(new WireTapExchangeFilter(tap))}.
 *
 * <p>It finds the run in the Reactor {@code Context}, else on the thread that subscribes. Where the run has limits that are
 * reached, the exchange fails with a {@code UsageLimitExceededException}, and the request is not sent. Safe for use by any number of
 * threads.
 */
public final class WireTapExchangeFilter implements ExchangeFilterFunction {

    private static final String PART = "the WebClient filter";

    private final WireTap tap;

    /** A filter that reports to the given tap. */
    public WireTapExchangeFilter(WireTap tap) {
        this.tap = Objects.requireNonNull(tap, "tap");
    }

    @Override
    public Mono<ClientResponse> filter(ClientRequest request, ExchangeFunction next) {
        return Mono.deferContextual(context -> {
            WireRequest wire = open(request, context);
            if (wire == null) {
                return next.exchange(request);
            }
            Mono<ClientResponse> exchange = next.exchange(request)
                    .map(response -> tapped(response, wire))
                    .doOnError(wire::failedToSend);
            return tap.drain() == null ? exchange.doOnCancel(wire::cancelled) : new DrainedExchange(exchange, wire);
        });
    }

    private @Nullable WireRequest open(ClientRequest request, ContextView context) {
        try {
            RequestHead head = new RequestHead(
                    request.method().name(),
                    Objects.requireNonNullElse(request.url().getPath(), ""),
                    request.headers()::containsKey);
            return tap.admit(head, UsageScope.current(context));
        } catch (UsageLimitExceededException refused) {
            throw refused;
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            return null;
        }
    }

    private ClientResponse tapped(ClientResponse response, WireRequest wire) {
        try {
            HttpHeaders headers = response.headers().asHttpHeaders();
            wire.responded(
                    response.statusCode().value(),
                    headers.getFirst(HttpHeaders.CONTENT_TYPE),
                    headers.getFirst(HttpHeaders.CONTENT_ENCODING));
            return response.mutate()
                    .body(body -> tap.drain() == null
                            ? FluxTap.listen(body, context -> new BodyListener(wire))
                            : new DrainedBody(body, wire))
                    .build();
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            wire.failed();
            return response;
        }
    }

    /** Reads a buffer in passing: its position stays, and it is not released. */
    static void hear(DataBuffer buffer, WireRequest wire) {
        try (DataBuffer.ByteBufferIterator pieces = buffer.readableByteBuffers()) {
            while (pieces.hasNext()) {
                wire.body(pieces.next());
            }
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }

    private record BodyListener(WireRequest wire) implements StreamListener<DataBuffer> {

        @Override
        public void onNext(DataBuffer buffer) {
            hear(buffer, wire);
        }

        @Override
        public void onComplete() {
            wire.completed();
        }

        @Override
        public void onError(Throwable error) {
            wire.failed();
        }

        @Override
        public void onCancel() {
            wire.cancelled();
        }
    }
}
