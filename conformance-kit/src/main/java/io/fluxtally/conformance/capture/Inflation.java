package io.fluxtally.conformance.capture;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.compression.DecompressionException;
import io.netty.handler.codec.compression.JdkZlibDecoder;
import io.netty.handler.codec.compression.ZlibWrapper;
import java.util.Locale;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Decodes a copy of a body as it comes. Not safe for use by several threads; to be closed. */
final class Inflation implements AutoCloseable {

    /** What comes out at once has at most a thousand times the size. */
    private static final int PIECE = 1024;

    private final EmbeddedChannel decoder;

    private Inflation(ZlibWrapper wrapper) {
        this.decoder = new EmbeddedChannel(new JdkZlibDecoder(wrapper, true, 0));
    }

    /** The decoding of a content coding, or null if it is none that is decoded here. */
    static @Nullable Inflation of(String coding) {
        return switch (coding.strip().toLowerCase(Locale.ROOT)) {
            case "gzip", "x-gzip" -> new Inflation(ZlibWrapper.GZIP);
            case "deflate" -> new Inflation(ZlibWrapper.ZLIB_OR_NONE);
            default -> null;
        };
    }

    /**
     * Decodes a piece.
     *
     * @throws RuntimeException if it is not in that coding
     */
    void decode(byte[] bytes, Consumer<byte[]> to) {
        for (int at = 0; at < bytes.length; at += PIECE) {
            decoder.writeInbound(Unpooled.wrappedBuffer(bytes, at, Math.min(PIECE, bytes.length - at)));
            for (ByteBuf out = decoder.readInbound(); out != null; out = decoder.readInbound()) {
                try {
                    to.accept(ByteBufUtil.getBytes(out));
                } finally {
                    out.release();
                }
            }
        }
    }

    @Override
    public void close() {
        try {
            decoder.finishAndReleaseAll();
        } catch (DecompressionException wrong) {
            // It was so when it was decoded.
        }
    }
}
