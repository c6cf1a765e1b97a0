package io.fluxtally.usage.wire;

import java.util.Arrays;

/** Decisions drawn from a fuzzer's bytes, one after the other; when the bytes are used up, every decision is the first. */
final class FuzzInput {

    private final byte[] bytes;
    private int at;

    FuzzInput(byte[] bytes) {
        this.bytes = bytes;
    }

    private int next() {
        return at < bytes.length ? bytes[at++] & 0xFF : 0;
    }

    boolean isUsedUp() {
        return at >= bytes.length;
    }

    /** A number from 0 up to one less than the bound. */
    int below(int bound) {
        int drawn = next();
        return (bound > 256 ? drawn << 8 | next() : drawn) % bound;
    }

    /** True once in so many. */
    boolean onceIn(int times) {
        return below(times) == times - 1;
    }

    @SafeVarargs
    final <T> T oneOf(T... choices) {
        return choices[below(choices.length)];
    }

    /** A token count: often small, at times beyond an {@code int}. */
    long tokens() {
        return switch (below(4)) {
            case 0 -> below(3);
            case 1 -> below(256);
            case 2 -> below(65536);
            default -> (long) below(65536) << below(26);
        };
    }

    /** All bytes that were not drawn yet. */
    byte[] rest() {
        byte[] rest = Arrays.copyOfRange(bytes, Math.min(at, bytes.length), bytes.length);
        at = bytes.length;
        return rest;
    }
}
