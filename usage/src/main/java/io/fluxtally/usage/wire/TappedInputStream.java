package io.fluxtally.usage.wire;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;

/**
 * A body that a {@link WireRequest} hears as it is read: every byte, and the end. Skipping reads, as {@link InputStream}
 * does it. Not safe for use by several threads, as streams are not.
 */
public class TappedInputStream extends InputStream {

    private final InputStream body;
    private final WireRequest wire;

    /** A stream of the given body. */
    public TappedInputStream(InputStream body, WireRequest wire) {
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
