package io.fluxtally.usage.wire.dialect;

/**
 * Tells by their bytes which events of one response can say anything new. Most differ from the one before in their text alone,
 * which is seen at once; any other is searched. Not safe for use by several threads.
 */
final class WantedEvents {

    /** A longer event is searched each time. */
    private static final int MAX_KEPT = 1024;

    private final JsonBytes.Fields wanted;

    /** An event that had none of the fields; empty until there is one. */
    private byte[] passed = {};

    private int passedLength;

    /**
     * For the events of a response.
     *
     * @param wanted what an event has to have one of
     */
    WantedEvents(JsonBytes.Fields wanted) {
        this.wanted = wanted;
    }

    /** The index behind an event that begins at a place and, as is seen at once, is not wanted, or -1. */
    int skip(byte[] bytes, int from, int to) {
        return passedLength == 0 ? -1 : SimilarEvents.skipDifferingInPassedOver(passed, passedLength, bytes, from, to);
    }

    /** Whether an event is wanted: the first bytes of the array. It may be so too often. */
    boolean contain(byte[] json, int length) {
        if (skip(json, 0, length) == length) {
            return false;
        }
        if (wanted.isAnyIn(json, length)) {
            return true;
        }
        if (length <= MAX_KEPT) {
            if (length > passed.length) {
                passed = new byte[length];
            }
            System.arraycopy(json, 0, passed, 0, length);
            passedLength = length;
        }
        return false;
    }
}
