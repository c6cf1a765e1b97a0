package io.fluxtally.usage.wire.dialect;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Compares events of a stream without parsing them. */
final class SimilarEvents {

    /** What stands before the values that may differ. In a string its quotes would be escaped. */
    private static final byte[] TOKENS = "_tokens\":".getBytes(StandardCharsets.US_ASCII);

    private static final byte[][] TEXTS = {
        "\"content\":".getBytes(StandardCharsets.US_ASCII),
        "\"reasoning_content\":".getBytes(StandardCharsets.US_ASCII),
        "\"text\":".getBytes(StandardCharsets.US_ASCII)
    };

    /** So many digits every count has room for. */
    private static final int MAX_DIGITS = 18;

    private static final int NOWHERE = -1;

    private SimilarEvents() {}

    /**
     * Whether two events, the first of which is JSON, differ at most in the strings of {@code content},
     * {@code reasoning_content} and {@code text} and in the numbers of fields whose names end in {@code _tokens}. Then the
     * second is JSON too, and its numbers are counts. Whatever is not plain, such as an escape in a string that differs or a
     * blank before a number, makes the answer no.
     */
    static boolean differInTextAndTokensOnly(byte[] one, int oneLength, byte[] other, int otherLength) {
        int i = 0;
        int j = 0;
        while (true) {
            int from = i;
            int same = Arrays.mismatch(one, i, oneLength, other, j, otherLength);
            if (same < 0) {
                return true;
            }
            i += same;
            j += same;
            if (i == oneLength || j == otherLength) {
                return false;
            }
            int back = i - startOfNumber(one, from, i);
            boolean isNumber = endsWith(one, i - back, TOKENS);
            if (!isNumber) {
                back = i - startOfText(one, from, i);
            }
            if (back > same) {
                return false;
            }
            i = isNumber ? endOfNumber(one, i - back, oneLength) : endOfText(one, i - back, oneLength);
            j = isNumber ? endOfNumber(other, j - back, otherLength) : endOfText(other, j - back, otherLength);
            if (i == NOWHERE || j == NOWHERE) {
                return false;
            }
        }
    }

    private static int startOfNumber(byte[] json, int from, int at) {
        int start = at;
        while (start > from && isDigit(json[start - 1])) {
            start--;
        }
        return start;
    }

    /** Where a plain number ends, or {@link #NOWHERE} if there is none. */
    private static int endOfNumber(byte[] json, int from, int length) {
        int end = from;
        while (end < length && isDigit(json[end])) {
            end++;
        }
        int digits = end - from;
        boolean isPlain = digits == 1 || (digits > 1 && digits <= MAX_DIGITS && json[from] != '0');
        return isPlain && end < length && (json[end] == ',' || json[end] == '}') ? end : NOWHERE;
    }

    private static boolean isDigit(byte b) {
        return b >= '0' && b <= '9';
    }

    /** Where the text begins that a place is in, behind its quote, or before all if it is in none. */
    private static int startOfText(byte[] json, int from, int at) {
        int start = at;
        while (start > from && json[start - 1] != '"') {
            start--;
        }
        for (byte[] name : TEXTS) {
            if (start > from && endsWith(json, start - 1, name)) {
                return start;
            }
        }
        return NOWHERE;
    }

    /** Where a string of valid UTF-8 without escapes ends, at its quote, or {@link #NOWHERE}. */
    private static int endOfText(byte[] json, int from, int length) {
        int i = from;
        while (i < length && json[i] != '"') {
            byte b = json[i++];
            if (b >= 0 && (b < ' ' || b == '\\')) {
                return NOWHERE;
            }
            int more = b >= 0 ? 0 : (b & 0xE0) == 0xC0 ? 1 : (b & 0xF0) == 0xE0 ? 2 : (b & 0xF8) == 0xF0 ? 3 : length;
            for (; more > 0; more--) {
                if (i >= length || (json[i++] & 0xC0) != 0x80) {
                    return NOWHERE;
                }
            }
        }
        return i < length ? i : NOWHERE;
    }

    private static boolean endsWith(byte[] json, int end, byte[] what) {
        int start = end - what.length;
        return start >= 0 && Arrays.equals(json, start, end, what, 0, what.length);
    }
}
