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

        /** An event was longer than the limit. */
        void tooLong();
    }

    private static final byte[] DATA = {'d', 'a', 't', 'a'};
    private static final byte[] BYTE_ORDER_MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};
    private static final byte RECORD_SEPARATOR = 0x1E;
    private static final int FIRST_SIZE = 512;

    private static final VarHandle EIGHT = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.nativeOrder());
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
        while (bytes.hasRemaining()) {
            if (state == State.VALUE) {
                takeValue(bytes);
            } else {
                take(bytes.get());
            }
        }
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
        }
        hasData = true;
    }

    /** Takes bytes up to the end of the line, the record or the buffer, in one piece. */
    private void takeValue(ByteBuffer bytes) {
        int start = bytes.position();
        int end = indexOfBreak(bytes, start);
        int count = end - start;
        if (count > 0) {
            afterCarriageReturn = false;
            hasData = true;
        }
        if (reserve(count)) {
            bytes.get(data, length, count);
            length += count;
        } else {
            bytes.position(end);
        }
        if (bytes.hasRemaining()) {
            take(bytes.get());
        }
    }

    /** The index of the first byte that ends the value, or the limit; eight bytes at a time while none of them does. */
    private int indexOfBreak(ByteBuffer bytes, int from) {
        int end = from;
        if (bytes.hasArray()) {
            byte[] array = bytes.array();
            int offset = bytes.arrayOffset();
            while (end <= bytes.limit() - Long.BYTES && !hasBreak((long) EIGHT.get(array, offset + end))) {
                end += Long.BYTES;
            }
        }
        while (end < bytes.limit() && !isBreak(bytes.get(end))) {
            end++;
        }
        return end;
    }

    private boolean hasBreak(long eight) {
        return kind == Kind.RECORDS
                ? hasByte(eight, RECORD_SEPARATOR)
                : hasByte(eight, (byte) '\n') || hasByte(eight, (byte) '\r');
    }

    /** Whether one of eight bytes is the given one: only a byte of zeros borrows from its own highest bit. */
    private static boolean hasByte(long eight, byte wanted) {
        long differences = eight ^ (ONES * wanted);
        return ((differences - ONES) & ~differences & (ONES << 7)) != 0;
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
