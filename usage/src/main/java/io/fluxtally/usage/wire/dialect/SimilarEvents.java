package io.fluxtally.usage.wire.dialect;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Compares events of a stream without parsing them. */
final class SimilarEvents {

    /** What stands before the values that may differ. In a string its quotes would be escaped. */
    private static final byte[] TOKENS = beginning("_tokens");

    private static final byte[] SEQUENCE_NUMBER = beginning("\"sequence_number");

    private static final byte[][] TEXTS = {
        beginning("\"content"), beginning("\"reasoning_content"), beginning("\"text"),
    };

    /** The same where an event is only passed over: the arguments of a tool, and more that no figure is in. */
    private static final byte[][] PASSED_OVER = {
        beginning("\"content"),
        beginning("\"text"),
        beginning("\"delta"),
        beginning("\"reasoning_content"),
        beginning("\"arguments"),
        beginning("\"partial_json"),
        beginning("\"thinking"),
        beginning("\"obfuscation"),
    };

    /** So many digits every count has room for. */
    private static final int MAX_DIGITS = 18;

    private static final int NOWHERE = -1;

    private SimilarEvents() {}

    private static byte[] beginning(String name) {
        return (name + "\":").getBytes(StandardCharsets.US_ASCII);
    }

    /**
     * The index behind bytes from a place on that differ from an event, which is JSON, at most in the strings of
     * {@code content}, {@code reasoning_content} and {@code text} and in the numbers of fields whose names end in
     * {@code _tokens}, or -1 if there are none. They are JSON too, and their numbers are counts. Whatever is not plain, such
     * as an escape in a string that differs or a blank before a number, makes them none.
     */
    static int skipDifferingInTextAndTokens(byte[] event, int eventLength, byte[] bytes, int from, int to) {
        return skipSimilar(event, eventLength, bytes, from, to, true);
    }

    /**
     * The index behind bytes from a place on that differ from an event at most in strings that are text, escapes and all, or
     * a tool's arguments, and in numbers of tokens or of the event, or -1 if there are none. They have the same fields, but
     * need be no more JSON than the event, and no line break that it has not.
     */
    static int skipDifferingInPassedOver(byte[] event, int eventLength, byte[] bytes, int from, int to) {
        return skipSimilar(event, eventLength, bytes, from, to, false);
    }

    private static int skipSimilar(
            byte[] one, int oneLength, byte[] other, int otherFrom, int otherTo, boolean isPlain) {
        int i = 0;
        int j = otherFrom;
        while (true) {
            int from = i;
            int same = Arrays.mismatch(one, i, oneLength, other, j, otherTo);
            if (same < 0) {
                return otherTo;
            }
            i += same;
            j += same;
            if (i == oneLength) {
                return j;
            }
            if (j == otherTo) {
                return NOWHERE;
            }
            int back = i - startOfNumber(one, from, i);
            boolean isNumber =
                    endsWith(one, i - back, TOKENS) || (!isPlain && endsWith(one, i - back, SEQUENCE_NUMBER));
            if (!isNumber) {
                back = i - startOfText(one, from, i, isPlain ? TEXTS : PASSED_OVER);
            }
            if (back > same) {
                return NOWHERE;
            }
            i = isNumber ? endOfNumber(one, i - back, oneLength) : endOfText(one, i - back, oneLength, isPlain);
            j = isNumber ? endOfNumber(other, j - back, otherTo) : endOfText(other, j - back, otherTo, isPlain);
            if (i == NOWHERE || j == NOWHERE) {
                return NOWHERE;
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
    private static int startOfText(byte[] json, int from, int at, byte[][] names) {
        int start = at;
        while (start > from && json[start - 1] != '"') {
            start--;
        }
        for (byte[] name : names) {
            if (start > from && endsWith(json, start - 1, name)) {
                return start;
            }
        }
        return NOWHERE;
    }

    private static int endOfText(byte[] json, int from, int length, boolean isPlain) {
        return isPlain ? endOfPlainText(json, from, length) : endOfAnyText(json, from, length);
    }

    /** Where a string of valid UTF-8 without escapes ends, at its quote, or {@link #NOWHERE}. */
    private static int endOfPlainText(byte[] json, int from, int length) {
        int i = from;
        while (i < length && json[i] != '"') {
            while (i <= length - Long.BYTES && isPlain((long) JsonBytes.EIGHT.get(json, i))) {
                i += Long.BYTES;
            }
            if (i == length || json[i] == '"') {
                break;
            }
            byte b = json[i++];
            if (isControl(b) || b == '\\') {
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

    /** Where a string without control characters ends, at its quote, or {@link #NOWHERE}. */
    private static int endOfAnyText(byte[] json, int from, int length) {
        int i = from;
        while (i < length && json[i] != '"') {
            while (i <= length - Long.BYTES && isAnyText((long) JsonBytes.EIGHT.get(json, i))) {
                i += Long.BYTES;
            }
            if (i == length || json[i] == '"') {
                break;
            }
            if (json[i] == '\\') {
                i++;
            }
            if (i < length && isControl(json[i])) {
                return NOWHERE;
            }
            i++;
        }
        return i < length ? i : NOWHERE;
    }

    /** Whether eight bytes are ASCII that stands in a string for itself. */
    private static boolean isPlain(long eight) {
        return ((eight | (eight - JsonBytes.ONES * ' ')) & (JsonBytes.ONES << 7)) == 0 && !hasQuoteOrBackslash(eight);
    }

    /** Whether eight bytes stand in a string for themselves or are of characters that do. */
    private static boolean isAnyText(long eight) {
        return JsonBytes.controlsIn(eight) == 0 && !hasQuoteOrBackslash(eight);
    }

    private static boolean isControl(byte b) {
        return b >= 0 && b < ' ';
    }

    private static boolean hasQuoteOrBackslash(long eight) {
        return (JsonBytes.indicesOf('"', eight) | JsonBytes.indicesOf('\\', eight)) != 0;
    }

    private static boolean endsWith(byte[] json, int end, byte[] what) {
        int start = end - what.length;
        return start >= 0 && Arrays.equals(json, start, end, what, 0, what.length);
    }
}
