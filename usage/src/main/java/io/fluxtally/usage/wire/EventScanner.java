package io.fluxtally.usage.wire;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Splits the bytes of an event stream into events as they pass: server-sent events after the WHATWG's rules, of which
 * only the data counts here, or lines, each an event, or the records of a JSON text sequence (RFC 7464).
 *
 * <p>It holds the data of one event at most, and of an event longer than the limit none. Bytes may come in pieces cut
 * anywhere. Not safe for use by several threads.
 */
final class EventScanner {

    /** Takes events. */
    interface Handler {

        /** The data of an event: the first bytes of the array, which is used again for the next event. */
        void event(byte[] data, int length);

        /**
         * Takes an event by a look at the bytes from where its data begins, if that tells where it ends: at the
         * {@linkplain #isEndOfEvent end of an event}, before any other line break.
         *
         * @return the index behind its data, or -1 if it is to be scanned
         */
        int skip(byte[] bytes, int from, int to);

        /** An event was longer than the limit. */
        void tooLong();
    }

    private static final byte[] DATA = {'d', 'a', 't', 'a'};
    private static final byte[] BYTE_ORDER_MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};
    private static final byte RECORD_SEPARATOR = 0x1E;
    private static final int FIRST_SIZE = 512;

    /** How many bytes there are at the {@linkplain #isEndOfEvent end of an event}. */
    private static final int END_OF_EVENT = 2;

    /** Little-endian, so that the lowest byte is the first. */
    private static final VarHandle EIGHT = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private static final long ONES = 0x0101_0101_0101_0101L;

    private enum Kind {
        EVENTS,
        LINES,
        RECORDS
    }

    private enum State {
        /** Before the first byte of the stream. */
        MARK,
        /** In a field's name. */
        NAME,
        /** Behind the colon of a data field, where one space does not count. */
        VALUE_START,
        /** In the value of a data field. */
        VALUE,
        /** In a line that does not count. */
        OTHER
    }

    private final Handler handler;
    private final int limit;
    private final Kind kind;

    private byte[] data = new byte[FIRST_SIZE];
    private int length;
    private boolean hasData;
    private boolean tooLong;

    private State state;

    /** How much of the byte order mark or of the field's name was matched in this line. */
    private int matched;

    /** Whether the line has any byte: an empty one ends the event. */
    private boolean emptyLine = true;

    private boolean afterCarriageReturn;

    /** Whether an event had data in several lines: line breaks of data and of the stream are not to be told apart then. */
    private boolean sawSeveralLines;

    private EventScanner(int limit, Handler handler, Kind kind) {
        this.limit = limit;
        this.handler = handler;
        this.kind = kind;
        this.state = kind == Kind.EVENTS ? State.MARK : State.VALUE;
    }

    /** A scanner of server-sent events. */
    static EventScanner ofEvents(int limit, Handler handler) {
        return new EventScanner(limit, handler, Kind.EVENTS);
    }

    /** A scanner of lines; empty ones are none. */
    static EventScanner ofLines(int limit, Handler handler) {
        return new EventScanner(limit, handler, Kind.LINES);
    }

    /** A scanner of records, each of which begins with a separator and may have line breaks in it; empty ones are none. */
    static EventScanner ofRecords(int limit, Handler handler) {
        return new EventScanner(limit, handler, Kind.RECORDS);
    }

    /** Takes the bytes from the buffer's position to its limit, and moves the position there. */
    void feed(ByteBuffer bytes) {
        if (bytes.hasArray()) {
            int offset = bytes.arrayOffset();
            scan(bytes.array(), offset + bytes.position(), offset + bytes.limit());
            bytes.position(bytes.limit());
            return;
        }
        byte[] piece = new byte[Math.min(bytes.remaining(), FIRST_SIZE)];
        while (bytes.hasRemaining()) {
            int count = Math.min(bytes.remaining(), piece.length);
            bytes.get(piece, 0, count);
            scan(piece, 0, count);
        }
    }

    /** Takes bytes; lines are passed over in one piece where they may be, since this is done for every byte of a body. */
    private void scan(byte[] bytes, int from, int to) {
        int at = from;
        while (at < to) {
            if (state == State.VALUE || state == State.OTHER) {
                int end = indexOfBreak(bytes, at, to);
                pass(bytes, at, end - at);
                at = end;
            } else if (state == State.NAME && matched == 0 && startsWithData(bytes, at, to)) {
                at += DATA.length + 1;
                int end = skip(bytes, at, to);
                if (end >= 0) {
                    afterCarriageReturn = false;
                    at = end;
                    continue;
                }
                beginData();
            }
            if (at < to) {
                take(bytes[at++]);
            }
        }
    }

    /** The index behind an event whose first data begins at a place, if the handler takes it by a look at it, or -1. */
    private int skip(byte[] bytes, int from, int to) {
        if (hasData || sawSeveralLines) {
            return -1;
        }
        int value = from < to && bytes[from] == ' ' ? from + 1 : from;
        int end = handler.skip(bytes, value, value + Math.min(to - value, limit));
        return end < 0 ? -1 : end + END_OF_EVENT;
    }

    /** Whether an event ends at a place, be it -1: there are a line's end and an empty line. */
    static boolean isEndOfEvent(byte[] bytes, int at, int to) {
        return at >= 0 && at + 1 < to && bytes[at] == '\n' && bytes[at + 1] == '\n';
    }

    /** How many bytes are held of the event. */
    int held() {
        return data.length;
    }

    /** Takes the end of the stream: what is there of an event is taken for one, as clients do. */
    void end() {
        if (!emptyLine) {
            endOfLine();
        }
        endOfEvent();
    }

    private void take(byte b) {
        if (b == '\n' && afterCarriageReturn) {
            afterCarriageReturn = false;
            return;
        }
        afterCarriageReturn = b == '\r';
        if (isBreak(b)) {
            endOfLine();
            return;
        }
        switch (state) {
            case MARK -> {
                if (matched < BYTE_ORDER_MARK.length && b == BYTE_ORDER_MARK[matched]) {
                    matched++;
                } else if (matched == 0 || matched == BYTE_ORDER_MARK.length) {
                    matched = 0;
                    state = State.NAME;
                    takeName(b);
                } else {
                    // A piece of a mark belongs to the field's name.
                    emptyLine = false;
                    state = State.OTHER;
                }
            }
            case NAME -> takeName(b);
            case VALUE_START -> {
                beginValue();
                if (b != ' ') {
                    append(b);
                }
            }
            default -> {}
        }
    }

    /** Whether a byte ends a line or, of a sequence, a record. */
    private boolean isBreak(byte b) {
        return kind == Kind.RECORDS ? b == RECORD_SEPARATOR : b == '\n' || b == '\r';
    }

    private void takeName(byte b) {
        emptyLine = false;
        if (matched < DATA.length && b == DATA[matched]) {
            matched++;
        } else if (matched == DATA.length && b == ':') {
            state = State.VALUE_START;
        } else {
            state = State.OTHER;
        }
    }

    private void beginValue() {
        state = State.VALUE;
        if (hasData) {
            append((byte) '\n');
            sawSeveralLines = true;
        }
        hasData = true;
    }

    private static boolean startsWithData(byte[] bytes, int at, int to) {
        return to - at > DATA.length
                && bytes[at + DATA.length] == ':'
                && Arrays.equals(bytes, at, at + DATA.length, DATA, 0, DATA.length);
    }

    /** The name of a data field and its colon are passed. */
    private void beginData() {
        emptyLine = false;
        afterCarriageReturn = false;
        matched = DATA.length;
        state = State.VALUE_START;
    }

    /** Passes over bytes that do not end the line or the record, and takes those of a value. */
    private void pass(byte[] bytes, int from, int count) {
        if (count == 0) {
            return;
        }
        afterCarriageReturn = false;
        if (state == State.VALUE) {
            hasData = true;
            if (reserve(count)) {
                System.arraycopy(bytes, from, data, length, count);
                length += count;
            }
        }
    }

    /** The index of the first byte that ends the line or the record, or the end. */
    private int indexOfBreak(byte[] bytes, int from, int to) {
        int at = indexOfControl(bytes, from, to);
        while (at < to && !isBreak(bytes[at])) {
            at = indexOfControl(bytes, at + 1, to);
        }
        return at;
    }

    /**
     * The index of the first control character, or the end; eight bytes at a time while there is none among them. All that
     * ends a line or a record is one, and there are hardly any others in JSON.
     */
    private static int indexOfControl(byte[] bytes, int from, int to) {
        int at = from;
        for (; at <= to - Long.BYTES; at += Long.BYTES) {
            long controls = controlsIn((long) EIGHT.get(bytes, at));
            if (controls != 0) {
                return at + Long.numberOfTrailingZeros(controls) / Byte.SIZE;
            }
        }
        while (at < to && (bytes[at] < 0 || bytes[at] >= ' ')) {
            at++;
        }
        return at;
    }

    /**
     * The highest bit of each of eight bytes that is less than a blank, and not negative. Behind such a byte, that of another
     * may be set as well: a borrow of the subtraction.
     */
    private static long controlsIn(long eight) {
        return (eight - ONES * ' ') & ~eight & (ONES << 7);
    }

    private void append(byte b) {
        if (reserve(1)) {
            data[length++] = b;
        }
    }

    /** Makes room for more data, or gives the event up. */
    private boolean reserve(int count) {
        if (!tooLong && count > limit - length) {
            tooLong = true;
            data = new byte[FIRST_SIZE];
            length = 0;
        }
        if (!tooLong && count > data.length - length) {
            data = Arrays.copyOf(data, Math.max(length + count, Math.min(limit, data.length * 2)));
        }
        return !tooLong;
    }

    private void endOfLine() {
        if (kind != Kind.EVENTS) {
            endOfEvent();
            return;
        }
        if (state == State.VALUE_START || (state == State.NAME && matched == DATA.length)) {
            beginValue();
        }
        boolean endsEvent = emptyLine;
        state = State.NAME;
        matched = 0;
        emptyLine = true;
        if (endsEvent) {
            endOfEvent();
        }
    }

    private void endOfEvent() {
        if (tooLong) {
            handler.tooLong();
        } else if (hasData) {
            handler.event(data, length);
        }
        length = 0;
        hasData = false;
        tooLong = false;
    }
}
