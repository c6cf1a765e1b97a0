package io.fluxtally.bedrock;

import io.fluxtally.usage.wire.WireRequest;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import software.amazon.awssdk.http.Abortable;

/** A body that is read in passing: every byte that is read, and the end. Skipping reads, as {@link InputStream} does it. */
final class TappedBody extends InputStream implements Abortable {

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

    /** Drops the connection, where the body can; a body that cannot ignores it, as in the SDK's own stream. */
    @Override
    public void abort() {
        try {
            if (body instanceof Abortable abortable) {
                abortable.abort();
            }
        } finally {
            wire.cancelled();
        }
    }

    /** Closes the body; if it was not read to the end, the client left. */
    @Override
    public void close() throws IOException {
        try {
            body.close();
        } finally {
            wire.cancelled();
        }
    }
}
