package io.fluxtally.usage.wire;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.sun.management.ThreadMXBean;
import java.io.ByteArrayOutputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class EventScannerTest {

    private static final int LIMIT = 64;

    static Stream<Arguments> streams() {
        return Stream.of(
                arguments("LF", "data: a\n\ndata: b\n\n", List.of("a", "b")),
                arguments("CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", List.of("a", "b")),
                arguments("CR", "data: a\r\rdata: b\r\r", List.of("a", "b")),
                arguments("mixed line ends", "data: a\r\n\rdata: b\n\r\ndata: c\r\n\n", List.of("a", "b", "c")),
                arguments("CR ends a line, LF CR ends two", "data: a\rdata: b\n\rdata: c\n\n", List.of("a\nb", "c")),
                arguments("a byte order mark", "\uFEFFdata: a\n\n", List.of("a")),
                arguments("a byte order mark later on", "data: a\n\n\uFEFFdata: b\n\n", List.of("a")),
                arguments("two byte order marks", "\uFEFF\uFEFFdata: a\n\n", List.of()),
                arguments(
                        "data in several lines",
                        "data: {\ndata:  \"a\":1\ndata\ndata:}\n\n",
                        List.of("{\n \"a\":1\n\n}")),
                arguments("the same again", "data: a\n\ndata: a\n\ndata:a\n\n", List.of("a", "a", "a")),
                arguments("the same and more", "data: a\n\ndata: a\ndata: b\n\n", List.of("a", "a\nb")),
                arguments("the same after more", "data: a\n\ndata: b\ndata: a\n\n", List.of("a", "b\na")),
                arguments("the same at a line's end", "data: a\n\ndata: a\n", List.of("a", "a")),
                arguments("several lines, then one", "data: a\ndata: b\n\ndata: a\nb\n\n", List.of("a\nb", "a")),
                arguments("comments", ": hello\ndata: a\n:HTTP_STATUS/200\n:\n\n:\n\n", List.of("a")),
                arguments("other fields", "id:1\nevent:result\ndata:a\nretry: 5\n\n", List.of("a")),
                arguments("a field without colon", "data\n\nfoo\n\n", List.of("")),
                arguments("data without colon, twice", "data\ndata\n\n", List.of("\n")),
                arguments("data without value", "data:\n\ndata: \n\n", List.of("", "")),
                arguments(
                        "one space after the colon", "data:  a \n\ndata:b\n\ndata:\tc\n\n", List.of(" a ", "b", "\tc")),
                arguments(
                        "names that only look like data",
                        "dat: a\ndatax: b\ndata : c\n data: d\nDATA: e\n\n",
                        List.of()),
                arguments("colons in the value", "data: a: b:\n\ndata::\n\n", List.of("a: b:", ":")),
                arguments("no blank line at the end", "data: a\n\ndata: b", List.of("a", "b")),
                arguments("one line end at the end", "data: a\n\ndata: b\n", List.of("a", "b")),
                arguments("an end after the field's name", "data: a\ndata", List.of("a\n")),
                arguments("an end after the colon", "data: a\ndata:", List.of("a\n")),
                arguments("nothing but line ends", "\n\r\n\r\n\n", List.of()),
                arguments("nothing", "", List.of()),
                arguments("UTF-8", "data: {\"é\":\"漢😀\"}\n\n", List.of("{\"é\":\"漢😀\"}")));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("streams")
    @DisplayName("reads the data of each event, wherever the stream is cut in two")
    void readsTheDataOfEachEvent(String what, String stream, List<String> expected) {
        byte[] bytes = stream.getBytes(UTF_8);

        assertThat(text(scan(LIMIT, List.of(bytes)))).isEqualTo(expected);
        for (int cut = 0; cut <= bytes.length; cut++) {
            assertThat(text(scan(LIMIT, cut(bytes, cut)))).as("cut at %d", cut).isEqualTo(expected);
        }
        assertThat(text(scan(LIMIT, singly(bytes)))).as("byte by byte").isEqualTo(expected);
    }

    @Test
    void aPieceOfAByteOrderMarkBelongsToTheNameOfTheField() {
        ByteArrayOutputStream stream = new ByteArrayOutputStream();
        stream.write(0xEF);
        stream.write(0xBB);
        stream.writeBytes("data: a\n\ndata: b\n\n".getBytes(UTF_8));

        assertThat(text(scan(LIMIT, List.of(stream.toByteArray())))).containsExactly("b");
    }

    @Property(tries = 3000)
    @Label("any stream in any pieces gives the events that the reference finds in the whole text")
    void anyPiecesGiveTheReferencesEvents(
            @ForAll("stream") byte[] stream, @ForAll("cuts") List<Double> cuts, @ForAll boolean direct) {
        List<byte[]> expected = ServerSentEventsReference.decode(stream, LIMIT);

        assertThat(show(scan(LIMIT, List.of(stream)))).isEqualTo(ServerSentEventsReference.show(expected));
        assertThat(show(scan(LIMIT, pieces(stream, cuts), direct))).isEqualTo(ServerSentEventsReference.show(expected));
    }

    @Property(tries = 200)
    @Label("any stream cut in two at any byte gives the same events")
    void anyTwoPiecesGiveTheSameEvents(@ForAll("stream") byte[] stream) {
        List<String> expected = ServerSentEventsReference.show(ServerSentEventsReference.decode(stream, LIMIT));

        for (int cut = 0; cut <= stream.length; cut++) {
            assertThat(show(scan(LIMIT, cut(stream, cut)))).as("cut at %d", cut).isEqualTo(expected);
        }
    }

    @Provide
    Arbitrary<byte[]> stream() {
        Arbitrary<byte[]> likely = Arbitraries.of(
                        "data",
                        "data:",
                        "data: ",
                        "data: x",
                        ":",
                        " ",
                        "\n",
                        "\n",
                        "\r",
                        "\r\n",
                        "\n\n",
                        "id: 1",
                        "event",
                        ": comment",
                        "{\"a\":",
                        "}",
                        "é",
                        "漢",
                        "😀",
                        "\uFEFF",
                        "0123456789012345678901234567890123456789",
                        "[DONE]")
                .map(piece -> piece.getBytes(UTF_8));
        Arbitrary<byte[]> odd = Arbitraries.of((byte) 0xEF, (byte) 0xBB, (byte) 0xBF, (byte) 0, (byte) 0x80)
                .map(b -> new byte[] {b});
        return Arbitraries.frequencyOf(net.jqwik.api.Tuple.of(9, likely), net.jqwik.api.Tuple.of(1, odd))
                .list()
                .ofMaxSize(40)
                .map(EventScannerTest::join);
    }

    @Provide
    Arbitrary<List<Double>> cuts() {
        return Arbitraries.doubles().between(0, 1).list().ofMaxSize(12);
    }

    @Test
    void readsOnlyWhatIsBetweenPositionAndLimitAndMovesThePosition() {
        for (boolean direct : List.of(false, true)) {
            ByteBuffer buffer = buffer("data: no\n\ndata: yes\n\ndata: no\n\n".getBytes(UTF_8), direct);
            buffer.position("data: no\n\n".length()).limit("data: no\n\ndata: yes\n\n".length());
            Events events = new Events();

            EventScanner.ofEvents(LIMIT, events).feed(buffer);

            assertThat(text(events.data)).containsExactly("yes");
            assertThat(buffer.position()).isEqualTo(buffer.limit()).isEqualTo("data: no\n\ndata: yes\n\n".length());
        }
    }

    @Test
    void readsReadOnlyBuffersAndSlices() {
        ByteBuffer whole = ByteBuffer.wrap("xxdata: a\n\n".getBytes(UTF_8));
        Events events = new Events();

        EventScanner.ofEvents(LIMIT, events).feed(whole.position(2).slice().asReadOnlyBuffer());

        assertThat(text(events.data)).containsExactly("a");
    }

    @Test
    void anEventInOnePieceMayBeTakenByALook() {
        Events events = new Events();

        EventScanner.ofEvents(LIMIT, events)
                .feed(buffer("data: a\n\nid: 1\ndata:a\n\ndata: a\n\n".getBytes(UTF_8), false));

        assertThat(text(events.data)).containsExactly("a", "a", "a");
        assertThat(events.skipped).isEqualTo(2);
    }

    @Test
    void anEventOfExactlyTheLimitIsRead() {
        assertThat(text(scan(LIMIT, bytes("data: " + "x".repeat(LIMIT) + "\n\n"))))
                .containsExactly("x".repeat(LIMIT));
    }

    @Test
    void anEventBeyondTheLimitIsPassedOverAndTheNextIsRead() {
        String stream = "data: a\n\ndata: " + "x".repeat(LIMIT + 1) + "\n\ndata: b\n\n";

        List<byte[]> events = scan(LIMIT, bytes(stream));

        assertThat(show(events)).isEqualTo(show(Arrays.asList("a".getBytes(UTF_8), null, "b".getBytes(UTF_8))));
    }

    @Test
    void theLimitIsOnAllLinesOfAnEventTogether() {
        String line = "data: " + "x".repeat(LIMIT / 2) + "\n";

        assertThat(show(scan(LIMIT, bytes(line + line + "\ndata: b\n\n"))))
                .isEqualTo(show(Arrays.asList(null, "b".getBytes(UTF_8))));
    }

    @Test
    void anEventBeyondTheLimitIsNotTakenByALook() {
        byte[] tooLong = "x".repeat(LIMIT + 1).getBytes(UTF_8);
        Events events = new Events();
        events.data.add(tooLong);

        EventScanner.ofEvents(LIMIT, events)
                .feed(buffer(("data:a\n\ndata:" + text(events.data).get(0) + "\n\n").getBytes(UTF_8), false));

        assertThat(show(events.data)).isEqualTo(show(Arrays.asList(tooLong, "a".getBytes(UTF_8), null)));
    }

    @Test
    void anEventBeyondTheLimitThatTheStreamEndsInIsCounted() {
        assertThat(show(scan(LIMIT, bytes("data: " + "x".repeat(LIMIT + 1))))).containsExactly("too long");
    }

    @Test
    void linesThatDoNotCountMayBeOfAnyLength() {
        String stream = ": " + "x".repeat(10 * LIMIT) + "\nid: " + "y".repeat(10 * LIMIT) + "\ndata: a\n\n";

        assertThat(text(scan(LIMIT, bytes(stream)))).containsExactly("a");
    }

    @Test
    void memoryDoesNotGrowWithEventsBeyondTheLimit() {
        int limit = 64 * 1024;
        byte[] piece = "x".repeat(32 * 1024).getBytes(UTF_8);
        Events events = new Events();
        EventScanner scanner = EventScanner.ofEvents(limit, events);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        scanner.feed(ByteBuffer.wrap("data: ".getBytes(UTF_8)));
        ByteBuffer reused = ByteBuffer.wrap(piece);

        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < 8 * 1024; i++) {
            scanner.feed(reused.rewind());
        }
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;
        scanner.feed(ByteBuffer.wrap("\n\ndata: b\n\n".getBytes(UTF_8)));

        assertThat(show(events.data)).isEqualTo(show(Arrays.asList(null, "b".getBytes(UTF_8))));
        assertThat(allocated).as("bytes allocated while 256 MiB passed").isLessThan(8L * limit);
    }

    @Test
    void memoryDoesNotGrowWithTheNumberOfEvents() {
        byte[] event = ("data: " + "x".repeat(1000) + "\n\n").getBytes(UTF_8);
        long[] read = new long[1];
        EventScanner scanner = EventScanner.ofEvents(4096, new EventScanner.Handler() {
            @Override
            public void event(byte[] data, int length) {
                read[0] += length;
            }

            @Override
            public int skip(byte[] bytes, int from, int to) {
                return -1;
            }

            @Override
            public void tooLong() {
                throw new AssertionError("no event is too long");
            }
        });
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        ByteBuffer reused = ByteBuffer.wrap(event);

        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < 10_000; i++) {
            scanner.feed(reused.rewind());
        }
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;

        assertThat(read[0]).isEqualTo(10_000L * 1000);
        assertThat(allocated).as("bytes allocated for 10,000 events").isLessThan(64 * 1024);
    }

    static Stream<Arguments> lines() {
        return Stream.of(
                arguments("LF", "{a}\n{b}\n", List.of("{a}", "{b}")),
                arguments("CRLF", "{a}\r\n{b}\r\n", List.of("{a}", "{b}")),
                arguments("CR", "{a}\r{b}\r", List.of("{a}", "{b}")),
                arguments("mixed line ends", "{a}\r\n\r{b}\n\r\n{c}\r\n\n", List.of("{a}", "{b}", "{c}")),
                arguments("empty lines", "\n\n{a}\n\n\n{b}\n\n", List.of("{a}", "{b}")),
                arguments("lines of blanks are lines", " \n{a}\n\t\n", List.of(" ", "{a}", "\t")),
                arguments("no line end at the end", "{a}\n{b}", List.of("{a}", "{b}")),
                arguments("one line without an end", "{a}", List.of("{a}")),
                arguments("names and colons mean nothing", "data: a\n: b\nid\n", List.of("data: a", ": b", "id")),
                arguments("nothing but line ends", "\n\r\n\r\n\n", List.of()),
                arguments("nothing", "", List.of()),
                arguments("as long as the limit", "x".repeat(LIMIT) + "\n{b}\n", List.of("x".repeat(LIMIT), "{b}")),
                arguments(
                        "beyond the limit",
                        "{a}\n" + "x".repeat(LIMIT + 1) + "\r\n{b}\n",
                        List.of("{a}", "too long", "{b}")),
                arguments("beyond the limit at the end", "{a}\n" + "x".repeat(3 * LIMIT), List.of("{a}", "too long")),
                arguments("UTF-8", "{\"é\":\"漢😀\"}\n", List.of("{\"é\":\"漢😀\"}")));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("lines")
    @DisplayName("reads each line, wherever the stream is cut in two")
    void readsEachLine(String what, String stream, List<String> expected) {
        byte[] bytes = stream.getBytes(UTF_8);

        for (int cut = 0; cut <= bytes.length; cut++) {
            assertThat(text(scanLines(cut(bytes, cut)))).as("cut at %d", cut).isEqualTo(expected);
        }
        assertThat(text(scanLines(singly(bytes)))).as("byte by byte").isEqualTo(expected);
    }

    @Property(tries = 1000)
    @Label("any stream in any pieces gives the lines that the whole text has")
    void anyPiecesGiveTheSameLines(
            @ForAll("stream") byte[] stream, @ForAll("cuts") List<Double> cuts, @ForAll boolean direct) {
        String latin = new String(stream, ISO_8859_1);
        List<String> expected = Stream.of(latin.split("\r\n|\r|\n"))
                .filter(line -> !line.isEmpty())
                .map(line -> line.length() > LIMIT ? "too long" : line)
                .toList();

        Events events = new Events();
        EventScanner scanner = EventScanner.ofLines(LIMIT, events);
        for (byte[] piece : pieces(stream, cuts)) {
            scanner.feed(buffer(piece, direct));
        }
        scanner.end();

        assertThat(events.data.stream()
                        .map(line -> line == null ? "too long" : new String(line, ISO_8859_1))
                        .toList())
                .isEqualTo(expected);
    }

    private static List<byte[]> scanLines(List<byte[]> pieces) {
        Events events = new Events();
        EventScanner scanner = EventScanner.ofLines(LIMIT, events);
        for (byte[] piece : pieces) {
            scanner.feed(buffer(piece, false));
        }
        scanner.end();
        return events.data;
    }

    /** Takes an event that is there as a whole, and was before, by a look. */
    private static final class Events implements EventScanner.Handler {

        final List<byte[]> data = new ArrayList<>();
        private int skipped;

        @Override
        public void event(byte[] bytes, int length) {
            data.add(Arrays.copyOf(bytes, length));
        }

        @Override
        public int skip(byte[] bytes, int from, int to) {
            for (byte[] earlier : data) {
                int end = earlier == null ? -1 : from + earlier.length;
                if (EventScanner.isEndOfEvent(bytes, end, to)
                        && Arrays.equals(earlier, 0, earlier.length, bytes, from, end)) {
                    data.add(earlier);
                    skipped++;
                    return end;
                }
            }
            return -1;
        }

        @Override
        public void tooLong() {
            data.add(null);
        }
    }

    private static List<byte[]> scan(int limit, List<byte[]> pieces) {
        return scan(limit, pieces, false);
    }

    private static List<byte[]> scan(int limit, List<byte[]> pieces, boolean direct) {
        Events events = new Events();
        EventScanner scanner = EventScanner.ofEvents(limit, events);
        for (byte[] piece : pieces) {
            scanner.feed(buffer(piece, direct));
        }
        scanner.end();
        return events.data;
    }

    private static ByteBuffer buffer(byte[] bytes, boolean direct) {
        return direct ? ByteBuffer.allocateDirect(bytes.length).put(bytes).flip() : ByteBuffer.wrap(bytes);
    }

    private static List<byte[]> bytes(String stream) {
        return List.of(stream.getBytes(UTF_8));
    }

    private static List<byte[]> cut(byte[] bytes, int at) {
        return List.of(Arrays.copyOf(bytes, at), Arrays.copyOfRange(bytes, at, bytes.length));
    }

    private static List<byte[]> singly(byte[] bytes) {
        List<byte[]> pieces = new ArrayList<>();
        for (byte b : bytes) {
            pieces.add(new byte[] {b});
        }
        return pieces;
    }

    private static List<byte[]> pieces(byte[] bytes, List<Double> cuts) {
        int[] at = Stream.concat(cuts.stream().map(cut -> (int) (cut * bytes.length)), Stream.of(0, bytes.length))
                .mapToInt(Integer::intValue)
                .sorted()
                .toArray();
        List<byte[]> pieces = new ArrayList<>();
        for (int i = 1; i < at.length; i++) {
            pieces.add(Arrays.copyOfRange(bytes, at[i - 1], at[i]));
        }
        return pieces;
    }

    private static byte[] join(List<byte[]> pieces) {
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        pieces.forEach(joined::writeBytes);
        return joined.toByteArray();
    }

    private static List<String> text(List<byte[]> events) {
        return events.stream()
                .map(event -> event == null ? "too long" : new String(event, UTF_8))
                .collect(Collectors.toList());
    }

    private static List<String> show(List<byte[]> events) {
        return ServerSentEventsReference.show(events);
    }
}
