package io.fluxtally.usage.wire.webclient;

import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.reactor.FluxTap;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.web.reactive.function.client.ClientRequest;
import org.springframework.web.reactive.function.client.ClientResponse;
import org.springframework.web.reactive.function.client.ExchangeFilterFunction;
import org.springframework.web.reactive.function.client.ExchangeFunction;
import reactor.core.CoreSubscriber;
import reactor.core.Scannable;
import reactor.core.publisher.Mono;
import reactor.util.context.ContextView;

/**
 * Taps a {@code WebClient}: {@code WebClient.builder().filter(new WireTapExchangeFilter(tap))}.
 *
 * <p>It finds the run in the Reactor {@code Context}, else on the thread that subscribes. Where the run has limits that are
 * reached, the exchange fails with a {@code UsageLimitExceededException}, and the request is not sent.
 *
 * <p>Where a model call around it is captured ({@code UsageChatModel}, {@code ChatUsage}) and is cancelled or fails, its
 * exchanges are cancelled here, unless they are to be {@linkplain io.fluxtally.usage.wire.Drain drained}. Some clients do
 * not pass a cancel on while their provider is silent (Spring AI's OpenAI client and DashScope's, whose
 * {@code windowUntil} waits for the next event), and the provider would go on. The client is told of nothing, and a half
 * received event is let through first. So an exchange that is cancelled before its response came stays active in Spring's
 * observation of the {@code WebClient}. Untouched are an exchange whose elements may go to others than that call, as
 * behind {@code share()} or {@code block()}; a response that is no event stream once a part of it came; and any exchange
 * without such a call around it: a run is no end to go by, since it may outlive any of its streams.
 *
 * <p>Safe for use by any number of threads.
 */
public final class WireTapExchangeFilter implements ExchangeFilterFunction {

    static final String PART = "the WebClient filter";

    private final WireTap tap;

    /** A filter that reports to the given tap. */
    public WireTapExchangeFilter(WireTap tap) {
        this.tap = Objects.requireNonNull(tap, "tap");
    }

    @Override
    public Mono<ClientResponse> filter(ClientRequest request, ExchangeFunction next) {
        return DeferredMono.of(subscriber -> {
            WireRequest wire = open(request, subscriber);
            if (wire == null) {
                return next.exchange(request);
            }
            Mono<ClientResponse> exchange = next.exchange(request)
                    .map(response -> tapped(response, wire))
                    .doOnError(wire::failedToSend);
            return new TappedExchange(exchange, wire);
        });
    }

    private @Nullable WireRequest open(ClientRequest request, CoreSubscriber<?> subscriber) {
        try {
            RequestHead head = new RequestHead(
                    request.method().name(),
                    Objects.requireNonNullElse(request.url().getPath(), ""),
                    request.headers()::containsKey);
            return tap.admit(head, UsageScope.current(subscriber.currentContext()), contexts(subscriber));
        } catch (UsageLimitExceededException refused) {
            throw refused;
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            return null;
        }
    }

    /** The context of a subscriber, then of those that it passes on to. */
    private static Iterable<ContextView> contexts(CoreSubscriber<?> subscriber) {
        return () -> Stream.concat(
                        Stream.of(subscriber), Scannable.from(subscriber).actuals())
                .filter(CoreSubscriber.class::isInstance)
                .<ContextView>map(next -> ((CoreSubscriber<?>) next).currentContext())
                .iterator();
    }

    private ClientResponse tapped(ClientResponse response, WireRequest wire) {
        try {
            HttpHeaders headers = response.headers().asHttpHeaders();
            String contentType = headers.getFirst(HttpHeaders.CONTENT_TYPE);
            wire.responded(response.statusCode().value(), contentType, headers.getFirst(HttpHeaders.CONTENT_ENCODING));
            return response.mutate()
                    .body(body -> new TappedBody(body, wire, isEvents(contentType)))
                    .build();
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            wire.failed();
            return response;
        }
    }

    private static boolean isEvents(@Nullable String contentType) {
        return contentType != null
                && contentType.regionMatches(
                        true, 0, MediaType.TEXT_EVENT_STREAM_VALUE, 0, MediaType.TEXT_EVENT_STREAM_VALUE.length());
    }

    /**
     * Lets a subscription be stopped when its model call is left, if what it is given goes nowhere but to that call: then
     * nobody waits for it any more.
     */
    static <T extends CoreSubscriber<?> & Scannable> void stopsWithItsCall(
            WireRequest wire, T subscriber, Runnable stop) {
        try {
            if (FluxTap.isInside(subscriber, UsageScope.KEY)) {
                wire.stopsBy(stop);
            }
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }
}
