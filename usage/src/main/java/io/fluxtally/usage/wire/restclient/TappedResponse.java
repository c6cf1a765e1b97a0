package io.fluxtally.usage.wire.restclient;

import io.fluxtally.usage.wire.TappedInputStream;
import io.fluxtally.usage.wire.WireRequest;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.client.ClientHttpResponse;

/** A response whose body is read in passing. */
final class TappedResponse implements ClientHttpResponse {

    private final ClientHttpResponse response;
    private final WireRequest wire;
    private @Nullable InputStream body;
    private @Nullable InputStream tapped;

    TappedResponse(ClientHttpResponse response, WireRequest wire) {
        this.response = response;
        this.wire = wire;
    }

    @Override
    public HttpStatusCode getStatusCode() throws IOException {
        return response.getStatusCode();
    }

    @Override
    public String getStatusText() throws IOException {
        return response.getStatusText();
    }

    @Override
    public HttpHeaders getHeaders() {
        return response.getHeaders();
    }

    /** The stream is tapped that is asked for first; a response that can be read again gives a new one, which is not. */
    @Override
    public InputStream getBody() throws IOException {
        InputStream stream = response.getBody();
        InputStream tap = tapped;
        if (tap == null) {
            tap = new TappedInputStream(stream, wire);
            body = stream;
            tapped = tap;
        }
        return stream == body ? tap : stream;
    }

    /** Closes the response; if its body was not read to the end, the client left. */
    @Override
    public void close() {
        try {
            response.close();
        } finally {
            wire.cancelled();
        }
    }
}
