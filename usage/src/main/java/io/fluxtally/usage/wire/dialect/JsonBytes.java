package io.fluxtally.usage.wire.dialect;

import java.nio.charset.StandardCharsets;

/** Looks for fields in the bytes of a JSON text without parsing it. */
final class JsonBytes {

    private JsonBytes() {}

    /** A field's name as it stands in JSON. Inside a string its quotes would be escaped, so it is found only as a name. */
    static byte[] quoted(String name) {
        return ('"' + name + '"').getBytes(StandardCharsets.US_ASCII);
    }

    /** Whether a field of the name is somewhere in the text with a value other than null. */
    static boolean hasValue(byte[] json, int length, byte[] quotedName) {
        return hasValueOtherThan(json, length, quotedName, 'n');
    }

    /** Whether a field of the name is somewhere in the text with a value that begins otherwise. */
    static boolean hasValueOtherThan(byte[] json, int length, byte[] quotedName, char first) {
        for (int i = indexOf(json, 0, length, quotedName); i >= 0; i = indexOf(json, i + 1, length, quotedName)) {
            int value = skipBlanksAndColon(json, i + quotedName.length, length);
            if (value < length && json[value] != first) {
                return true;
            }
        }
        return false;
    }

    /** Whether a field or a string of the name is somewhere in the text. */
    static boolean contains(byte[] json, int length, byte[] quotedName) {
        return indexOf(json, 0, length, quotedName) >= 0;
    }

    private static int indexOf(byte[] json, int from, int length, byte[] quotedName) {
        int last = length - quotedName.length;
        for (int i = from; i <= last; i++) {
            if (json[i] == '"' && startsWith(json, i, quotedName)) {
                return i;
            }
        }
        return -1;
    }

    private static boolean startsWith(byte[] json, int from, byte[] name) {
        for (int i = 1; i < name.length; i++) {
            if (json[from + i] != name[i]) {
                return false;
            }
        }
        return true;
    }

    private static int skipBlanksAndColon(byte[] json, int from, int length) {
        int i = from;
        while (i < length && (json[i] == ':' || json[i] == ' ' || json[i] == '\t' || json[i] == '\n')) {
            i++;
        }
        return i;
    }
}
