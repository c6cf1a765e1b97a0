package io.fluxtally.usage.wire;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.zip.CRC32;
import org.jspecify.annotations.Nullable;

/**
 * Splits the bytes of an {@code application/vnd.amazon.eventstream} into its messages as they pass: 4 bytes of the whole
 * length, 4 of the headers' length, 4 of a CRC of these, then the headers, the payload, and 4 of a CRC of it all.
 *
 * <p>It holds one message at most, and of one longer than the limit none; what it holds grows with the bytes that came,
 * not with the length that they claim. If a length cannot be right, the stream is read no further, since nobody knows
 * where its next message begins. Bytes may come in pieces cut anywhere. Not safe for use by several threads.
 */
final class FrameScanner {

    /** Takes messages. */
    interface Handler {

        /**
         * A message.
         *
         * @param messageType {@code event}, {@code exception} or {@code error}; empty if the message does not say
         * @param type which event, exception or error; empty if the message does not say
         * @param payload its payload: the first bytes of the array, which is used again for the next message
         */
        void message(String messageType, String type, byte[] payload, int length);

        /** A message was longer than the limit, or none. */
        void unread();
    }

    private static final int PRELUDE = 12;
    private static final int CRC = 4;
    private static final int FIRST_SIZE = 512;

    private enum Part {
        PRELUDE,
        HEADERS,
        PAYLOAD,
        CRC,
        /** A message longer than the limit. */
        SKIPPED,
        /** What comes after a length that cannot be right. */
        LOST
    }

    private final int limit;
    private final Handler handler;

    private final byte[] prelude = new byte[PRELUDE];
    private final byte[] crc = new byte[CRC];
    private byte[] headers = new byte[FIRST_SIZE];
    private byte[] payload = new byte[FIRST_SIZE];
    private final CRC32 sum = new CRC32();

    private Part part = Part.PRELUDE;

    /** How many bytes of the part are there, and how many it has. */
    private long taken;

    private long size = PRELUDE;

    private int headersLength;
    private int payloadLength;

    /** A scanner that reads messages of at most so many bytes. */
    FrameScanner(int limit, Handler handler) {
        this.limit = limit;
        this.handler = handler;
    }

    /** Takes the bytes from the buffer's position to its limit, and moves the position there. */
    void feed(ByteBuffer bytes) {
        while (bytes.hasRemaining()) {
            int count = (int) Math.min(size - taken, bytes.remaining());
            switch (part) {
                case PRELUDE -> bytes.get(prelude, (int) taken, count);
                case HEADERS -> {
                    headers = withRoom(headers, count);
                    bytes.get(headers, (int) taken, count);
                }
                case PAYLOAD -> {
                    payload = withRoom(payload, count);
                    bytes.get(payload, (int) taken, count);
                }
                case CRC -> bytes.get(crc, (int) taken, count);
                case SKIPPED, LOST -> bytes.position(bytes.position() + count);
            }
            taken += count;
            while (taken == size) {
                endPart();
            }
        }
    }

    /** How many bytes are held of the message. */
    long held() {
        return switch (part) {
            case PRELUDE, HEADERS -> taken;
            case PAYLOAD -> headersLength + taken;
            case CRC -> headersLength + payloadLength + taken;
            case SKIPPED, LOST -> 0;
        };
    }

    private byte[] withRoom(byte[] held, int count) {
        int needed = (int) taken + count;
        return needed <= held.length ? held : Arrays.copyOf(held, Math.max(needed, Math.min(limit, held.length * 2)));
    }

    private void endPart() {
        switch (part) {
            case PRELUDE -> endPrelude();
            case HEADERS -> begin(Part.PAYLOAD, payloadLength);
            case PAYLOAD -> begin(Part.CRC, CRC);
            case CRC -> {
                endMessage();
                begin(Part.PRELUDE, PRELUDE);
            }
            case SKIPPED -> begin(Part.PRELUDE, PRELUDE);
            case LOST -> taken = 0;
        }
    }

    private void begin(Part next, long length) {
        part = next;
        taken = 0;
        size = length;
    }

    private void endPrelude() {
        ByteBuffer lengths = ByteBuffer.wrap(prelude);
        long whole = Integer.toUnsignedLong(lengths.getInt());
        long ofHeaders = Integer.toUnsignedLong(lengths.getInt());
        sum.reset();
        sum.update(prelude, 0, PRELUDE - CRC);
        boolean intact = sum.getValue() == Integer.toUnsignedLong(lengths.getInt());
        if (!intact || ofHeaders > whole - PRELUDE - CRC) {
            handler.unread();
            begin(Part.LOST, Long.MAX_VALUE);
        } else if (whole > limit) {
            handler.unread();
            begin(Part.SKIPPED, whole - PRELUDE);
        } else {
            headersLength = (int) ofHeaders;
            payloadLength = (int) (whole - PRELUDE - CRC - ofHeaders);
            begin(Part.HEADERS, headersLength);
        }
    }

    private void endMessage() {
        sum.reset();
        sum.update(prelude, 0, PRELUDE);
        sum.update(headers, 0, headersLength);
        sum.update(payload, 0, payloadLength);
        boolean intact =
                sum.getValue() == Integer.toUnsignedLong(ByteBuffer.wrap(crc).getInt());
        Types types = intact ? Types.of(ByteBuffer.wrap(headers, 0, headersLength)) : null;
        if (types == null) {
            handler.unread();
        } else {
            handler.message(types.messageType, types.type, payload, payloadLength);
        }
    }

    /** What the headers of a message say of its type. */
    private record Types(String messageType, String type) {

        private static final int STRING = 7;

        /** Reads the headers; null if they are none. */
        static @Nullable Types of(ByteBuffer headers) {
            String messageType = "";
            String type = "";
            while (headers.hasRemaining()) {
                String name = text(headers, headers.get() & 0xFF);
                if (name == null || !headers.hasRemaining()) {
                    return null;
                }
                int kind = headers.get();
                int length = lengthOf(kind, headers);
                if (length < 0 || length > headers.remaining()) {
                    return null;
                }
                if (kind == STRING && name.equals(":message-type")) {
                    messageType = textOf(headers, length);
                } else if (kind == STRING
                        && (name.equals(":event-type")
                                || name.equals(":exception-type")
                                || name.equals(":error-code"))) {
                    type = textOf(headers, length);
                } else {
                    headers.position(headers.position() + length);
                }
            }
            return new Types(messageType, type);
        }

        /** How long the value of a kind is, or -1 if there is no such kind or its length is missing. */
        private static int lengthOf(int kind, ByteBuffer headers) {
            return switch (kind) {
                case 0, 1 -> 0; // true, false
                case 2 -> 1; // a byte
                case 3 -> 2; // two
                case 4 -> 4; // an int
                case 5, 8 -> 8; // a long, a time
                case 6, STRING -> headers.remaining() < 2 ? -1 : headers.getShort() & 0xFFFF;
                case 9 -> 16; // a UUID
                default -> -1;
            };
        }

        private static @Nullable String text(ByteBuffer headers, int length) {
            return length > headers.remaining() ? null : textOf(headers, length);
        }

        private static String textOf(ByteBuffer headers, int length) {
            byte[] text = new byte[length];
            headers.get(text);
            return new String(text, UTF_8);
        }
    }
}
