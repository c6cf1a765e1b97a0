package io.fluxtally.usage.wire.restclient;

import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.io.IOException;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpRequest;
import org.springframework.http.client.ClientHttpRequestExecution;
import org.springframework.http.client.ClientHttpRequestInterceptor;
import org.springframework.http.client.ClientHttpResponse;

/**
 * Taps a {@code RestClient}: {@code RestClient.builder().requestInterceptor(new WireTapInterceptor(tap))}. It serves a
 * {@code RestTemplate} as well.
 *
 * <p>It finds the run on the calling thread. Where the run has limits that are reached, the call fails with a
 * {@code UsageLimitExceededException}, and the request is not sent. A response is booked when it was read to its end or closed. Safe for use by
 * any number of threads.
 */
public final class WireTapInterceptor implements ClientHttpRequestInterceptor {

    private static final String PART = "the RestClient interceptor";

    private final WireTap tap;

    /** An interceptor that reports to the given tap. */
    public WireTapInterceptor(WireTap tap) {
        this.tap = Objects.requireNonNull(tap, "tap");
    }

    @Override
    public ClientHttpResponse intercept(HttpRequest request, byte[] body, ClientHttpRequestExecution execution)
            throws IOException {
        WireRequest wire = open(request);
        if (wire == null) {
            return execution.execute(request, body);
        }
        ClientHttpResponse response;
        try {
            response = execution.execute(request, body);
        } catch (Throwable error) {
            wire.failedToSend(error);
            throw error;
        }
        return tapped(response, wire);
    }

    private @Nullable WireRequest open(HttpRequest request) {
        try {
            RequestHead head = new RequestHead(
                    request.getMethod().name(),
                    Objects.requireNonNullElse(request.getURI().getPath(), ""),
                    request.getHeaders()::containsKey);
            return tap.admit(head, UsageScope.current());
        } catch (UsageLimitExceededException refused) {
            throw refused;
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            return null;
        }
    }

    private static ClientHttpResponse tapped(ClientHttpResponse response, WireRequest wire) {
        try {
            HttpHeaders headers = response.getHeaders();
            wire.responded(
                    response.getStatusCode().value(),
                    headers.getFirst(HttpHeaders.CONTENT_TYPE),
                    headers.getFirst(HttpHeaders.CONTENT_ENCODING));
            return new TappedResponse(response, wire);
        } catch (IOException error) {
            // HttpURLConnection may send the request only now; what goes wrong there goes wrong for the app as well.
            wire.failedToSend(error);
            return response;
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            wire.failed();
            return response;
        }
    }
}
