package io.fluxtally.conformance.record;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What is kept of a request's body as it passes: whether it asks for a stream, and a digest, by which the same question is
 * known when it is asked again. Thread-safe.
 */
final class Question {

    /** OpenAI's, Anthropic's and Ollama's word for it. In a text the quotes would have a backslash. */
    private static final Pattern STREAM = Pattern.compile("(?<!\\\\)\"stream\"\\s*:\\s*true\\b");

    /** How much of a piece is looked at again with the next: as much as the words may take. */
    private static final int OVERLAP = 32;

    private final MessageDigest digest = sha256();
    private String last = "";
    private boolean asksForStream;
    private byte @Nullable [] whole;

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A piece of the body passes. */
    synchronized void add(byte[] piece) {
        digest.update(piece);
        String seen = last + new String(piece, StandardCharsets.ISO_8859_1);
        asksForStream |= STREAM.matcher(seen).find();
        last = seen.substring(Math.max(0, seen.length() - OVERLAP));
    }

    synchronized boolean asksForStream() {
        return asksForStream;
    }

    /** Whether another request, which has passed too, asked the very same. */
    boolean isRepeatedBy(Question other) {
        return Arrays.equals(digest(), other.digest());
    }

    private synchronized byte[] digest() {
        byte[] digested = whole;
        if (digested == null) {
            digested = digest.digest();
            whole = digested;
            last = "";
        }
        return digested;
    }
}
