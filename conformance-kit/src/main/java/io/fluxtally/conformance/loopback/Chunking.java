package io.fluxtally.conformance.loopback;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How a body is cut into writes. Each write is an HTTP chunk of its own and is flushed, so a client sees the cuts however the
 * network joins the packets. Immutable.
 */
public final class Chunking {

    private interface Cuts {
        /** Where the body is cut: offsets in ascending order, within the body. */
        List<Integer> of(byte[] body);
    }

    private final String name;

    private final Cuts cuts;

    private Chunking(String name, Cuts cuts) {
        this.name = name;
        this.cuts = cuts;
    }

    /** One write per server-sent event, its blank line included. What follows the last blank line is a write too. */
    public static Chunking byEvent() {
        return new Chunking("by event", Chunking::eventEnds);
    }

    /** The whole body in one write. */
    public static Chunking whole() {
        return new Chunking("whole", body -> List.of());
    }

    /**
     * Writes of this many bytes; the last one may be shorter.
     *
     * @throws IllegalArgumentException when the size is less than 1
     */
    public static Chunking everyBytes(int size) {
        if (size < 1) {
            throw new IllegalArgumentException("size must be 1 byte or more, but is " + size);
        }
        return new Chunking("every " + size + " bytes", body -> {
            List<Integer> offsets = new ArrayList<>();
            for (long offset = size; offset < body.length; offset += size) {
                offsets.add((int) offset);
            }
            return offsets;
        });
    }

    /**
     * Cuts before these bytes, counted from 0 in each body. Offsets outside a body cut nothing; their order does not matter.
     *
     * @throws IllegalArgumentException when an offset is negative
     */
    public static Chunking atOffsets(int... offsets) {
        List<Integer> sorted =
                Arrays.stream(offsets).sorted().distinct().boxed().toList();
        if (!sorted.isEmpty() && sorted.get(0) < 0) {
            throw new IllegalArgumentException("an offset must be 0 or more, but is " + sorted.get(0));
        }
        return new Chunking("at " + sorted, body -> sorted);
    }

    /** The body in pieces, none of which is empty; none at all for an empty body. */
    List<byte[]> cut(byte[] body) {
        List<byte[]> pieces = new ArrayList<>();
        int start = 0;
        for (int offset : cuts.of(body)) {
            if (offset > start && offset < body.length) {
                pieces.add(Arrays.copyOfRange(body, start, offset));
                start = offset;
            }
        }
        if (start < body.length) {
            pieces.add(Arrays.copyOfRange(body, start, body.length));
        }
        return pieces;
    }

    /** The offsets after each run of blank lines, whatever the line ends are. */
    private static List<Integer> eventEnds(byte[] body) {
        List<Integer> ends = new ArrayList<>();
        int lineStart = 0;
        boolean afterBlankLine = false;
        for (int i = 0; i < body.length; i++) {
            boolean crlf = body[i] == '\r' && i + 1 < body.length && body[i + 1] == '\n';
            if (body[i] != '\n' && body[i] != '\r') {
                if (afterBlankLine) {
                    ends.add(i);
                    afterBlankLine = false;
                }
                continue;
            }
            // A blank line at the very start ends no event.
            afterBlankLine = i == lineStart && i > 0;
            if (crlf) {
                i++;
            }
            lineStart = i + 1;
        }
        return ends;
    }

    @Override
    public String toString() {
        return name;
    }
}
