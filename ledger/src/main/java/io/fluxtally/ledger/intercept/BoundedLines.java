package io.fluxtally.ledger.intercept;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * The lines of a stream, of which it holds the beginning of one, however long that is. Lines may hold what nobody may keep, so
 * what was handed out is wiped. Not safe for use by several threads.
 */
final class BoundedLines {

    /** A line with figures has some hundred bytes. */
    static final int LONGEST = 1 << 16;

    private final InputStream in;
    private final byte[] buffer = new byte[1 << 13];
    private int position;
    private int limit;
    private final byte[] line = new byte[LONGEST];
    private int length;
    private boolean cut;

    BoundedLines(InputStream in) {
        this.in = in;
    }

    /** Goes to the next line, and forgets the one before. */
    boolean advance() throws IOException {
        wipe();
        boolean any = false;
        while (true) {
            if (position == limit) {
                limit = Math.max(0, in.read(buffer));
                position = 0;
                if (limit == 0) {
                    return any;
                }
            }
            any = true;
            int end = position;
            while (end < limit && buffer[end] != '\n') {
                end++;
            }
            boolean whole = end < limit;
            take(end);
            if (whole) {
                position++;
                return true;
            }
        }
    }

    private void take(int end) {
        int count = Math.min(end - position, LONGEST - length);
        System.arraycopy(buffer, position, line, length, count);
        cut |= count < end - position;
        length += count;
        Arrays.fill(buffer, position, end, (byte) 0);
        position = end;
    }

    /** Forgets the line. */
    void wipe() {
        Arrays.fill(line, 0, length, (byte) 0);
        length = 0;
        cut = false;
    }

    byte[] line() {
        return line;
    }

    int length() {
        return length;
    }

    /** Whether this is the beginning of the line only. */
    boolean isCut() {
        return cut;
    }

    boolean isBlank() {
        for (int i = 0; i < length; i++) {
            if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') {
                return false;
            }
        }
        return !cut;
    }
}
