package io.fluxtally.conformance.record;

import java.util.regex.Pattern;

/** What stands where text stood. */
final class Filler {

    private static final Pattern IDENTIFIER = Pattern.compile("[A-Za-z0-9_.:-]{1,128}");

    private static final String ASCII = "x";
    private static final String TWO_BYTES = "\u00e9";
    private static final String THREE_BYTES = "\u6587";
    private static final String HIGH = "\ud83d";
    private static final String LOW = "\udcac";

    private Filler() {}

    /** Whether a text has the form of a word out of a protocol. */
    static boolean isIdentifier(String text) {
        return IDENTIFIER.matcher(text).matches();
    }

    /** Whether a text has the form of an id: an identifier with a digit in it, which a name or a word seldom has. */
    static boolean isId(String text) {
        return isIdentifier(text) && text.chars().anyMatch(c -> c >= '0' && c <= '9');
    }

    /** As many characters of as many bytes; line ends stay. */
    static String of(String text) {
        StringBuilder filler = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            filler.append(c == '\n' || c == '\r' ? String.valueOf(c) : one(c));
        }
        return filler.toString();
    }

    /** The same for what is between the quotes of a valid JSON string: an escape becomes an escape. */
    static String ofJson(String literal) {
        StringBuilder filler = new StringBuilder(literal.length());
        for (int i = 0; i < literal.length(); i++) {
            char c = literal.charAt(i);
            if (c != '\\') {
                filler.append(one(c));
            } else if (literal.charAt(++i) == 'u') {
                char escaped = (char) Integer.parseInt(literal.substring(i + 1, i + 5), 16);
                filler.append("\\u%04x".formatted((int) one(escaped).charAt(0)));
                i += 4;
            } else {
                filler.append("\\n");
            }
        }
        return filler.toString();
    }

    private static String one(char c) {
        if (c < 0x80) {
            return ASCII;
        }
        if (c < 0x800) {
            return TWO_BYTES;
        }
        if (Character.isSurrogate(c)) {
            return Character.isHighSurrogate(c) ? HIGH : LOW;
        }
        return THREE_BYTES;
    }

    /** How many bytes a text is in UTF-8. */
    static int bytes(String text) {
        int bytes = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            bytes += c < 0x80 ? 1 : c < 0x800 || Character.isSurrogate(c) ? 2 : 3;
        }
        return bytes;
    }
}
