package io.fluxtally.usage.wire.restclient;

import io.fluxtally.usage.wire.WireRequest;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
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
            tap = new TappedBody(stream, wire);
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

    /** Shows every byte that is read, and the end. Skipping reads, as {@link InputStream} does it. */
    private static final class TappedBody extends InputStream {

        private final InputStream body;
        private final WireRequest wire;

        TappedBody(InputStream body, WireRequest wire) {
            this.body = body;
            this.wire = wire;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int count;
            try {
                count = body.read(bytes, offset, length);
            } catch (Throwable error) {
                wire.failed();
                throw error;
            }
            if (count < 0) {
                wire.completed();
            } else {
                wire.body(ByteBuffer.wrap(bytes, offset, count));
            }
            return count;
        }

        @Override
        public int available() throws IOException {
            return body.available();
        }

        /** Closes the body; if it was not read to the end, the client left. An app may close this and nothing else. */
        @Override
        public void close() throws IOException {
            try {
                body.close();
            } finally {
                wire.cancelled();
            }
        }
    }
}
