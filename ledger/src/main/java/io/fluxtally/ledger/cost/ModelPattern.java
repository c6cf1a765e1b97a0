package io.fluxtally.ledger.cost;

import java.util.BitSet;

/**
 * Names of models: one name, or a pattern in which {@code *} stands for any characters, or none. Upper and lower case differ.
 *
 * @param text the pattern as it was written
 */
record ModelPattern(String text) {

    private static final char ANY = '*';

    boolean isName() {
        return text.indexOf(ANY) < 0;
    }

    /** How many characters of a name it says. */
    int said() {
        return (int) text.chars().filter(c -> c != ANY).count();
    }

    boolean matches(String name) {
        return meets(text, name);
    }

    /** Whether there is a name that both stand for. */
    boolean meets(ModelPattern other) {
        return meets(text, other.text);
    }

    /** Goes through the left one and keeps which positions of the right one can be reached with it. */
    private static boolean meets(String left, String right) {
        BitSet reached = new BitSet(right.length() + 1);
        reached.set(0);
        skipAny(reached, right);
        for (int i = 0; i < left.length(); i++) {
            char wanted = left.charAt(i);
            BitSet next = new BitSet(right.length() + 1);
            for (int at = reached.nextSetBit(0); at >= 0; at = reached.nextSetBit(at + 1)) {
                if (wanted == ANY) {
                    next.set(at, right.length() + 1);
                } else if (at < right.length() && right.charAt(at) == ANY) {
                    next.set(at);
                } else if (at < right.length() && right.charAt(at) == wanted) {
                    next.set(at + 1);
                }
            }
            skipAny(next, right);
            reached = next;
        }
        return reached.get(right.length());
    }

    /** What stands for nothing can be passed over. */
    private static void skipAny(BitSet reached, String pattern) {
        for (int at = reached.nextSetBit(0); at >= 0 && at < pattern.length(); at = reached.nextSetBit(at + 1)) {
            if (pattern.charAt(at) == ANY) {
                reached.set(at + 1);
            }
        }
    }
}
