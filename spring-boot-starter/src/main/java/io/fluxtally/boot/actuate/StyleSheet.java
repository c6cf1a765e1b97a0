package io.fluxtally.boot.actuate;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;

/** The pages' one style sheet, and the policy that lets a browser use it and nothing else. */
final class StyleSheet {

    /** Where it is on the class path. */
    static final String RESOURCE = "io/fluxtally/boot/actuate/fluxtally.css";

    /** The style sheet itself. */
    static final String CSS = read();

    /** The content security policy: no script, no font, no image, no form, no frame, and no style but this one. */
    static final String POLICY =
            "default-src 'none'; style-src 'sha256-" + sha256(CSS) + "'; base-uri 'none'; form-action 'none'";

    private StyleSheet() {}

    private static String read() {
        try (InputStream in = StyleSheet.class.getResourceAsStream("fluxtally.css")) {
            if (in == null) {
                throw new IllegalStateException("resource " + RESOURCE + " must be on the class path, but is missing");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException("resource " + RESOURCE + " cannot be read", e);
        }
    }

    private static String sha256(String text) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return Base64.getEncoder().encodeToString(hash);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JVM has SHA-256", e);
        }
    }
}
