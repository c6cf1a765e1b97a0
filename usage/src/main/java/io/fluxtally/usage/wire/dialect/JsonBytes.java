package io.fluxtally.usage.wire.dialect;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Looks for fields in the bytes of a JSON text without parsing it. */
final class JsonBytes {

    /** Little-endian, so that the lowest byte is the first. */
    static final VarHandle EIGHT = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    static final long ONES = 0x0101_0101_0101_0101L;

    private JsonBytes() {}

    /** A field's name as it stands in JSON. Inside a string its quotes would be escaped, so it is found only as a name. */
    static byte[] quoted(String name) {
        return ('"' + name + '"').getBytes(StandardCharsets.US_ASCII);
    }

    /**
     * A field to look for.
     *
     * @param quotedName its name as it stands in JSON
     * @param except how a value begins that does not count
     */
    record Field(byte[] quotedName, char except) {

        private static final char NONE = 0;

        /** A field with any value but null. */
        static Field of(String name) {
            return new Field(quoted(name), 'n');
        }

        /** A field with any value, or a string: there is no telling. */
        static Field orString(String name) {
            return new Field(quoted(name), NONE);
        }

        /** Whether it is at a place of the text with a value that counts. */
        private boolean isAt(byte[] json, int at, int length) {
            if (at > length - quotedName.length || !startsWith(json, at, quotedName)) {
                return false;
            }
            if (except == NONE) {
                return true;
            }
            int value = skipBlanksAndColon(json, at + quotedName.length, length);
            return value < length && json[value] != except;
        }
    }

    /** Fields to look for all at once. */
    static final class Fields {

        private final Field[] fields;

        /** A bit for the first letter of each name, by the letter's lowest five bits. */
        private final int letters;

        Fields(Field... fields) {
            this.fields = fields.clone();
            int all = 0;
            for (Field field : fields) {
                all |= 1 << field.quotedName[1];
            }
            this.letters = all;
        }

        /**
         * Whether one of them is somewhere in the text with a value that counts. It looks for quotes in eight bytes at a time,
         * and at what begins there only if a name may: this is done for every event of a stream.
         */
        boolean isAnyIn(byte[] json, int length) {
            int i = 0;
            for (; i < length - Long.BYTES; i += Long.BYTES) {
                for (long quotes = indicesOf('"', (long) EIGHT.get(json, i)); quotes != 0; quotes &= quotes - 1) {
                    int quote = i + Long.numberOfTrailingZeros(quotes) / Byte.SIZE;
                    if ((letters >>> json[quote + 1] & 1) != 0 && isAnyAt(json, quote, length)) {
                        return true;
                    }
                }
            }
            for (; i < length; i++) {
                if (isAnyAt(json, i, length)) {
                    return true;
                }
            }
            return false;
        }

        private boolean isAnyAt(byte[] json, int at, int length) {
            for (Field field : fields) {
                if (field.isAt(json, at, length)) {
                    return true;
                }
            }
            return false;
        }
    }

    /**
     * The highest bit of each of eight bytes that is the given ASCII character. Where there is one, that of a byte behind it
     * may be set as well: a borrow of the subtraction.
     */
    static long indicesOf(char character, long eight) {
        long differences = eight ^ (ONES * character);
        return (differences - ONES) & ~differences & (ONES << 7);
    }

    /**
     * The highest bit of each of eight bytes that is a control character; and maybe, as above, of others behind one.
     */
    static long controlsIn(long eight) {
        return (eight - ONES * ' ') & ~eight & (ONES << 7);
    }

    private static boolean startsWith(byte[] json, int from, byte[] name) {
        for (int i = 0; i < name.length; i++) {
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
