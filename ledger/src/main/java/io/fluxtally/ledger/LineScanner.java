package io.fluxtally.ledger;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * The lines of a file, one after the other, in the memory of the longest line that may be. Not safe for use by several
 * threads.
 */
final class LineScanner {

    /** Longer lines are no records, and are not held. */
    static final int MAX_LINE = 1 << 20;

    private final InputStream in;
    private final byte[] buffer = new byte[1 << 16];
    private int position;
    private int limit;
    private byte[] line = new byte[1024];
    private int length;
    private long start;
    private long next;
    private long number;
    private boolean whole;
    private boolean tooLong;

    /** The scanner of what follows a position that some lines end at. */
    LineScanner(InputStream in, long offset, long linesBefore) {
        this.in = in;
        this.next = offset;
        this.number = linesBefore;
    }

    /** Goes to the next line, if there is one or a part of one. */
    boolean advance() throws IOException {
        start = next;
        length = 0;
        whole = false;
        tooLong = false;
        while (!whole) {
            if (position == limit) {
                int read = in.read(buffer);
                if (read < 0) {
                    break;
                }
                position = 0;
                limit = read;
            }
            int end = position;
            while (end < limit && buffer[end] != '\n') {
                end++;
            }
            append(end - position);
            whole = end < limit;
            next += end - position + (whole ? 1 : 0);
            position = whole ? end + 1 : end;
        }
        boolean found = whole || next > start;
        if (found) {
            number++;
        }
        return found;
    }

    private void append(int count) {
        if (tooLong || length + count > MAX_LINE) {
            tooLong = true;
            return;
        }
        if (length + count > line.length) {
            line = Arrays.copyOf(line, Math.max(length + count, Math.min(line.length * 2, MAX_LINE)));
        }
        System.arraycopy(buffer, position, line, length, count);
        length += count;
    }

    /** The bytes of the line, of which {@link #length()} count; overwritten by the next. */
    byte[] line() {
        return line;
    }

    int length() {
        return length;
    }

    /** Whether the line was too long to be held. */
    boolean tooLong() {
        return tooLong;
    }

    /** Whether the line ends with a line feed; if not, it is the last of the file, and may go on. */
    boolean whole() {
        return whole;
    }

    /** Where the line begins in the file. */
    long start() {
        return start;
    }

    /** Where the line after it begins. */
    long next() {
        return next;
    }

    /** The number of the line, from 1. */
    long number() {
        return number;
    }
}
