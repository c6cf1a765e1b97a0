package io.fluxtally.usage.wire;

import static io.fluxtally.usage.wire.Messages.encoded;
import static io.fluxtally.usage.wire.Messages.event;
import static io.fluxtally.usage.wire.Messages.exception;
import static io.fluxtally.usage.wire.Messages.join;
import static io.fluxtally.usage.wire.Messages.message;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.zip.CRC32;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import software.amazon.eventstream.HeaderValue;

class FrameScannerTest {

    private static final int LIMIT = 1024;
    private static final byte[] STREAM = join(
            event("messageStart", "{\"role\":\"assistant\"}"),
            event("empty", ""),
            event("contentBlockDelta", "{\"delta\":{\"text\":\"é漢😀\"}}"),
            exception("throttlingException"),
            message("error", ":error-code", "500", "no JSON"));
    private static final List<String> READ = List.of(
            "event messageStart {\"role\":\"assistant\"}",
            "event empty ",
            "event contentBlockDelta {\"delta\":{\"text\":\"é漢😀\"}}",
            "exception throttlingException {\"message\":\"slow down\"}",
            "error 500 no JSON");

    private static final class Seen implements FrameScanner.Handler {

        final List<String> messages = new ArrayList<>();

        @Override
        public void message(String messageType, String type, byte[] payload, int length) {
            messages.add(messageType + " " + type + " " + new String(payload, 0, length, UTF_8));
        }

        @Override
        public void unread() {
            messages.add("unread");
        }
    }

    private static List<String> scan(byte[]... pieces) {
        Seen seen = new Seen();
        FrameScanner scanner = new FrameScanner(LIMIT, seen);
        for (byte[] piece : pieces) {
            ByteBuffer buffer = ByteBuffer.wrap(piece).asReadOnlyBuffer();
            scanner.feed(buffer);
            assertThat(buffer.hasRemaining()).isFalse();
        }
        return seen.messages;
    }

    @Test
    @DisplayName("reads each message, wherever the stream is cut in two")
    void everyCut() {
        for (int cut = 0; cut <= STREAM.length; cut++) {
            assertThat(scan(Arrays.copyOf(STREAM, cut), Arrays.copyOfRange(STREAM, cut, STREAM.length)))
                    .as("cut at %d", cut)
                    .isEqualTo(READ);
        }
    }

    @Test
    @DisplayName("reads each message byte by byte")
    void byteByByte() {
        byte[][] pieces = new byte[STREAM.length][];
        for (int i = 0; i < pieces.length; i++) {
            pieces[i] = new byte[] {STREAM[i]};
        }

        assertThat(scan(pieces)).isEqualTo(READ);
    }

    @Test
    @DisplayName("a message that is not at its end is none")
    void everyPrefix() {
        for (int end = 0; end < STREAM.length; end++) {
            List<String> read = scan(Arrays.copyOf(STREAM, end));
            assertThat(read).hasSizeLessThan(READ.size()).isEqualTo(READ.subList(0, read.size()));
        }
    }

    @Test
    @DisplayName("finds the types among headers of every kind")
    void everyKindOfHeader() {
        Map<String, HeaderValue> headers = new LinkedHashMap<>();
        headers.put("true", HeaderValue.fromBoolean(true));
        headers.put("false", HeaderValue.fromBoolean(false));
        headers.put("int", HeaderValue.fromInteger(7));
        headers.put("long", HeaderValue.fromLong(7));
        headers.put("bytes", HeaderValue.fromByteArray(new byte[300]));
        headers.put("time", HeaderValue.fromTimestamp(Instant.EPOCH));
        headers.put("uuid", HeaderValue.fromUuid(new UUID(1, 2)));
        headers.put(":message-type", HeaderValue.fromString("event"));
        headers.put(":event-type", HeaderValue.fromString("metadata"));
        byte[] plain = encoded(Map.of(), "{}".getBytes(UTF_8));

        // The SDK's encoder leaves out the value of a byte and of a short.
        byte[] bytes = {4, 'b', 'y', 't', 'e', 2, 7, 5, 's', 'h', 'o', 'r', 't', 3, 0, 7};
        byte[] type = join(new byte[] {13}, ":message-type".getBytes(UTF_8), new byte[] {7, 0, 1, 'x'});

        assertThat(scan(encoded(headers, "{}".getBytes(UTF_8)), plain, raw(join(bytes, type))))
                .containsExactly("event metadata {}", "  {}", "x  ");
    }

    @Test
    @DisplayName("a type that is no string is none")
    void typeOfAnotherKind() {
        Map<String, HeaderValue> headers = new LinkedHashMap<>();
        headers.put(":message-type", HeaderValue.fromInteger(7));
        headers.put(":event-type", HeaderValue.fromByteArray("metadata".getBytes(UTF_8)));

        assertThat(scan(encoded(headers, new byte[0]))).containsExactly("  ");
    }

    @Test
    @DisplayName("a message as long as the limit is read, a longer one is passed over, and the next is read")
    void limit() {
        int overhead = event("a", "").length;
        byte[] longest = event("a", "x".repeat(LIMIT - overhead));
        byte[] longer = event("a", "x".repeat(LIMIT - overhead + 1));

        assertThat(longest).hasSize(LIMIT);
        assertThat(scan(longest, longer, event("b", "{}")))
                .containsExactly("event a " + "x".repeat(LIMIT - overhead), "unread", "event b {}");
    }

    @Test
    @DisplayName("a message with any byte changed is not read, and nothing after it is made up")
    void everyByteChanged() {
        byte[] first = event("a", "{\"x\":1}");
        byte[] second = event("b", "{}");
        for (int at = 0; at < first.length; at++) {
            byte[] changed = first.clone();
            changed[at] ^= 0x10;
            List<String> read = scan(changed, second);
            if (at < 12) {
                assertThat(read).as("prelude changed at %d", at).containsExactly("unread");
            } else {
                assertThat(read).as("changed at %d", at).containsExactly("unread", "event b {}");
            }
        }
    }

    @Test
    @DisplayName("lengths that contradict each other are not believed, even with a right checksum")
    void contradictoryLengths() {
        int[][] lengths = {{0, 0}, {15, 0}, {16, 1}, {100, 85}, {100, -1}, {-1, -1}, {12, Integer.MIN_VALUE}};
        for (int[] pair : lengths) {
            assertThat(scan(prelude(pair[0], pair[1]), event("b", "{}")))
                    .as("%d, %d", pair[0], pair[1])
                    .containsExactly("unread");
        }
    }

    @Test
    @DisplayName("headers that run out of their block make the message unread, with right checksums too")
    void brokenHeaders() {
        byte[][] broken = {
            {5},
            {1, 'a'},
            {1, 'a', 7},
            {1, 'a', 7, 0},
            {1, 'a', 7, 0, 9, 'x'},
            {1, 'a', 10},
            {1, 'a', -1},
            {1, 'a', 9, 0}
        };
        for (byte[] headers : broken) {
            assertThat(scan(raw(headers), event("b", "{}")))
                    .as(Arrays.toString(headers))
                    .containsExactly("unread", "event b {}");
        }
    }

    @Test
    @DisplayName("a claim of a length costs no memory")
    void claims() {
        int limit = WireTap.DEFAULT_MAX_EVENT_BYTES;
        byte[][] claims = {prelude(limit, 0), prelude(limit, limit - 16), prelude(Integer.MAX_VALUE, 16), prelude(-1, 0)
        };
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        Seen seen = new Seen();

        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < 100; i++) {
            for (byte[] claim : claims) {
                FrameScanner scanner = new FrameScanner(limit, seen);
                scanner.feed(ByteBuffer.wrap(claim));
                scanner.feed(ByteBuffer.wrap(claim));
            }
        }
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;

        assertThat(allocated).as("bytes allocated for 400 claims").isLessThan(limit);
    }

    @Test
    @DisplayName("memory does not grow with messages beyond the limit")
    void longMessages() {
        Seen seen = new Seen();
        FrameScanner scanner = new FrameScanner(LIMIT, seen);
        ByteBuffer piece = ByteBuffer.wrap(new byte[32 * 1024]);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        scanner.feed(ByteBuffer.wrap(prelude(-1, 0)));

        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < 8 * 1024; i++) {
            scanner.feed(piece.rewind());
        }
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;

        assertThat(seen.messages).containsExactly("unread");
        assertThat(allocated).as("bytes allocated while 256 MiB passed").isLessThan(64 * 1024);
    }

    @Property(tries = 2000)
    @Label("any bytes, also behind a right prelude, are taken without a failure")
    void anyBytes(
            @ForAll @Size(max = 200) byte[] bytes,
            @ForAll @IntRange(max = 300) int whole,
            @ForAll @IntRange(max = 300) int headers) {
        assertThat(scan(bytes)).hasSizeLessThanOrEqualTo(1);
        assertThat(scan(prelude(whole, headers), bytes)).doesNotContainNull();
        assertThat(scan(raw(bytes))).hasSize(1);
    }

    /** The prelude of a message with the given lengths, with its right checksum. */
    private static byte[] prelude(int whole, int headers) {
        ByteBuffer prelude = ByteBuffer.allocate(12).putInt(whole).putInt(headers);
        CRC32 crc = new CRC32();
        crc.update(prelude.array(), 0, 8);
        return prelude.putInt((int) crc.getValue()).array();
    }

    /** A message with the given block of headers and right checksums. */
    private static byte[] raw(byte[] headers) {
        byte[] start = join(prelude(16 + headers.length, headers.length), headers);
        CRC32 crc = new CRC32();
        crc.update(start);
        return join(start, ByteBuffer.allocate(4).putInt((int) crc.getValue()).array());
    }
}
