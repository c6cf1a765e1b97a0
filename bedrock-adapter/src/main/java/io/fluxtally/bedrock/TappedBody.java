package io.fluxtally.bedrock;

import io.fluxtally.usage.wire.TappedInputStream;
import io.fluxtally.usage.wire.WireRequest;
import java.io.InputStream;
import software.amazon.awssdk.http.Abortable;

/** A body that is read in passing, and whose connection can be dropped as the SDK does it. */
final class TappedBody extends TappedInputStream implements Abortable {

    private final InputStream body;
    private final WireRequest wire;

    TappedBody(InputStream body, WireRequest wire) {
        super(body, wire);
        this.body = body;
        this.wire = wire;
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
}
