package io.fluxtally.usage.wire;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.async.ByteBufferFeeder;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Locale;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Reads a response body piece by piece and shows it to a {@link DialectSearch}. Not safe for use by several threads. */
abstract sealed class BodyReader {

    private static final Set<String> LINES = Set.of(
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/x-jsonl",
            "application/jsonlines",
            "application/x-jsonlines");

    private long bytesRead;

    /**
     * The reader for a content type, or null if no dialect writes it.
     *
     * @param unread told of each event that could not be read
     */
    static @Nullable BodyReader forContentType(
            @Nullable String contentType, DialectSearch search, int maxEventBytes, Runnable unread) {
        String type =
                contentType == null ? "" : contentType.split(";", 2)[0].strip().toLowerCase(Locale.ROOT);
        if (type.equals("text/event-stream")) {
            return new Events(search, unread, handler -> EventScanner.ofEvents(maxEventBytes, handler));
        }
        if (LINES.contains(type)) {
            return new Events(search, unread, handler -> EventScanner.ofLines(maxEventBytes, handler));
        }
        if (type.equals("application/vnd.amazon.eventstream")) {
            return new Frames(search, maxEventBytes, unread);
        }
        if (type.endsWith("json-seq")) {
            return new Events(search, unread, handler -> EventScanner.ofRecords(maxEventBytes, handler));
        }
        if (type.contains("json")) {
            return new Document(search, maxEventBytes, unread);
        }
        return null;
    }

    /** How many bytes were read so far. */
    final long bytesRead() {
        return bytesRead;
    }

    final void feed(ByteBuffer bytes) {
        bytesRead += bytes.remaining();
        read(bytes);
    }

    abstract void read(ByteBuffer bytes);

    /** How many bytes of the body it holds: of the event, or since the last token, but never more than the limit. */
    abstract long held();

    /** The body ended, wholly or not. */
    abstract void end();

    /** Whether the body is one JSON document, the whole response, and was read to its end. */
    abstract boolean isWholeDocument();

    /** Whether the body is one JSON document that could not be read. */
    boolean isUnreadDocument() {
        return false;
    }

    /** A stream of events, each of whose data is a JSON document. */
    private static final class Events extends BodyReader implements EventScanner.Handler {

        private static final byte[] DONE = {'[', 'D', 'O', 'N', 'E', ']'};

        /** A longer event is read at once. */
        private static final int MAX_KEPT = 1024;

        /** How much longer than an event the next may be before there is no room for it: its figures grow. */
        private static final int ROOM = 32;

        private final DialectSearch search;
        private final Runnable unread;
        private final EventScanner scanner;
        private boolean sawUnread;

        /** The last event that was wanted; empty if it was too long or no JSON. */
        private byte[] last = {};

        private int lastLength;

        /** Whether it is still to be read, unless the next one supersedes it. */
        private boolean lastWaits;

        Events(DialectSearch search, Runnable unread, Function<EventScanner.Handler, EventScanner> scanners) {
            this.search = search;
            this.unread = unread;
            this.scanner = scanners.apply(this);
        }

        @Override
        void read(ByteBuffer bytes) {
            scanner.feed(bytes);
        }

        @Override
        long held() {
            return scanner.held() + last.length;
        }

        @Override
        void end() {
            scanner.end();
            readLast();
        }

        @Override
        boolean isWholeDocument() {
            return false;
        }

        @Override
        public void event(byte[] data, int length) {
            if (isDone(data, length)) {
                readLast();
                search.done(!sawUnread);
            } else if (length > 0 && (data[length - 1] != '}' || search.wants(data, length))) {
                // An event that does not end like an object may be one that was cut short, and is looked at.
                if (length <= MAX_KEPT && skipSuperseding(data, 0, length) == length) {
                    supersede(data, 0, length);
                } else {
                    readLast();
                    read(data, length);
                }
            }
        }

        @Override
        public int skip(byte[] bytes, int from, int to) {
            int passedOver = search.skip(bytes, from, to);
            if (EventScanner.isEndOfEvent(bytes, passedOver, to)) {
                return passedOver;
            }
            int superseding = skipSuperseding(bytes, from, to);
            if (EventScanner.isEndOfEvent(bytes, superseding, to) && superseding - from <= MAX_KEPT) {
                supersede(bytes, from, superseding - from);
                return superseding;
            }
            return -1;
        }

        private int skipSuperseding(byte[] bytes, int from, int to) {
            return lastLength == 0 ? -1 : search.skipSuperseding(last, lastLength, bytes, from, to);
        }

        private void supersede(byte[] bytes, int from, int length) {
            keep(bytes, from, length);
            lastWaits = true;
        }

        /** Reads the event that waits. */
        private void readLast() {
            if (lastWaits) {
                read(last, lastLength);
            }
        }

        private void read(byte[] data, int length) {
            lastWaits = false;
            lastLength = 0;
            try {
                boolean isKnown = search.found() != null;
                search.read(data, length);
                if (isKnown && length <= MAX_KEPT) {
                    keep(data, 0, length);
                }
            } catch (IOException malformed) {
                tooLong();
            }
        }

        private void keep(byte[] bytes, int from, int length) {
            if (length > last.length) {
                last = new byte[length + ROOM];
            }
            System.arraycopy(bytes, from, last, 0, length);
            lastLength = length;
        }

        private static boolean isDone(byte[] data, int length) {
            if (length != DONE.length) {
                return false;
            }
            for (int i = 0; i < length; i++) {
                if (data[i] != DONE[i]) {
                    return false;
                }
            }
            return true;
        }

        @Override
        public void tooLong() {
            sawUnread = true;
            unread.run();
        }
    }

    /** A stream of binary messages, each of whose payloads is a JSON document. */
    private static final class Frames extends BodyReader implements FrameScanner.Handler {

        private final DialectSearch search;
        private final Runnable unread;
        private final FrameScanner scanner;

        Frames(DialectSearch search, int maxEventBytes, Runnable unread) {
            this.search = search;
            this.unread = unread;
            this.scanner = new FrameScanner(maxEventBytes, this);
        }

        @Override
        void read(ByteBuffer bytes) {
            scanner.feed(bytes);
        }

        @Override
        long held() {
            return scanner.held();
        }

        /** A message that is not at its end is none. */
        @Override
        void end() {}

        @Override
        boolean isWholeDocument() {
            return false;
        }

        @Override
        public void message(String messageType, String type, byte[] payload, int length) {
            search.typed(messageType, type);
            if (!search.wants(payload, length)) {
                return;
            }
            try {
                search.read(payload, length);
            } catch (IOException malformed) {
                unread();
            }
        }

        @Override
        public void unread() {
            unread.run();
        }
    }

    /**
     * One JSON document, parsed as its bytes come. If a model was asked and it is an array, it is a stream, of which each
     * element is an event: so Gemini streams unless it is asked for server-sent events.
     */
    private static final class Document extends BodyReader {

        /** How many bytes are parsed at a time, so that a token beyond the limit shows before it is held. */
        private static final int SLICE = 8 * 1024;

        private final DialectSearch search;
        private final int limit;
        private final Runnable unread;
        private final JsonParser parser;
        private final ByteBufferFeeder feeder;

        /** How many bytes passed since the last token. The parser holds them all, and itself knows no limit to them. */
        private long pending;

        /** Whether the document's first byte was seen, and its first token. */
        private boolean started;

        private boolean begun;
        private boolean isArray;
        private boolean inEvent;

        /** Whether the document was read to its end; what follows is not looked at. */
        private boolean ended;

        private boolean broken;

        Document(DialectSearch search, int maxEventBytes, Runnable unread) {
            this.search = search;
            this.limit = maxEventBytes;
            this.unread = unread;
            try {
                // A table of the names that were seen would grow with the document.
                this.parser = JsonFactory.builder()
                        .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
                        .streamReadConstraints(StreamReadConstraints.builder()
                                .maxStringLength(Integer.MAX_VALUE)
                                .build())
                        .build()
                        .createNonBlockingByteBufferParser();
            } catch (IOException impossible) {
                throw new IllegalStateException(impossible);
            }
            this.feeder = (ByteBufferFeeder) parser.getNonBlockingInputFeeder();
        }

        @Override
        void read(ByteBuffer bytes) {
            int end = bytes.limit();
            while (!started && bytes.hasRemaining()) {
                started = !isBeforeDocument(bytes.get(bytes.position()));
                bytes.position(bytes.position() + (started ? 0 : 1));
            }
            for (int at = bytes.position(); at < end && !ended && !broken; at = bytes.limit()) {
                long length = Math.min(SLICE, limit - pending + 1);
                bytes.limit((int) Math.min(end, at + length)).position(at);
                parse(bytes);
            }
        }

        /** Whether a byte is blank or of a byte order mark; Jackson takes offence at a piece that ends in blanks after a mark. */
        private static boolean isBeforeDocument(byte b) {
            return switch (b) {
                case ' ', '\t', '\r', '\n', (byte) 0xEF, (byte) 0xBB, (byte) 0xBF -> true;
                default -> false;
            };
        }

        private void parse(ByteBuffer slice) {
            try {
                pending += slice.remaining();
                feeder.feedInput(slice);
                takeTokens();
                broken = pending > limit;
            } catch (IOException malformed) {
                broken = true;
            }
            if (broken) {
                close();
                unread.run();
            }
        }

        private void takeTokens() throws IOException {
            for (JsonToken token = parser.nextToken();
                    token != null && token != JsonToken.NOT_AVAILABLE;
                    token = ended ? null : parser.nextToken()) {
                pending = 0;
                take(token);
            }
        }

        private void take(JsonToken token) throws IOException {
            if (!begun) {
                begun = true;
                isArray = token == JsonToken.START_ARRAY && search.isExpected();
                if (isArray) {
                    return;
                }
            }
            if (isArray && !inEvent && token == JsonToken.END_ARRAY) {
                ended = true;
                return;
            }
            if (!inEvent) {
                inEvent = true;
                search.beginEvent();
            }
            if (search.accept(token, parser)) {
                inEvent = false;
                ended = !isArray;
                search.endEvent();
            }
        }

        @Override
        long held() {
            return broken ? 0 : pending;
        }

        @Override
        void end() {
            feeder.endOfInput();
            close();
        }

        private void close() {
            try {
                parser.close();
            } catch (IOException ignored) {
                // It holds nothing that could fail to close.
            }
        }

        @Override
        boolean isUnreadDocument() {
            return broken;
        }

        /** An array is not: as of any stream, its end does not tell whether the model had finished. */
        @Override
        boolean isWholeDocument() {
            return ended && !isArray;
        }
    }
}
