package io.fluxtally.conformance.record;

import io.fluxtally.conformance.proxy.PassageEnd;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * A request that passes, of which no more is kept than where it went and what its {@link Question} has, and a copy of its response. Thread-safe: a client may leave
 * while bytes come.
 */
final class Exchange {

    /** How much of a response is kept; a scenario file may have 64 MiB. */
    static final int LONGEST_BODY = 16 * 1024 * 1024;

    private static final String NO_TYPE = "application/octet-stream";

    private final RequestHead head;
    private final boolean streamWanted;
    private final Question question = new Question();
    private final long arrived = System.nanoTime();
    private long answered;

    private int status;
    private String mediaType = NO_TYPE;
    private @Nullable String encoding;
    private @Nullable String requestId;
    private ByteArrayOutputStream body = new ByteArrayOutputStream();
    private boolean tooLong;
    private @Nullable PassageEnd end;

    Exchange(RequestHead head, boolean streamWanted) {
        this.head = head;
        this.streamWanted = streamWanted;
    }

    /** What it asked, as far as that is kept. */
    Question question() {
        return question;
    }

    /** The response's head came. */
    synchronized void responded(
            int status, @Nullable String contentType, @Nullable String encoding, @Nullable String requestId) {
        this.answered = System.nanoTime();
        this.status = status;
        String type = contentType == null ? NO_TYPE : contentType.split(";", 2)[0].strip();
        this.mediaType =
                type.matches("[A-Za-z0-9.+-]{1,60}/[A-Za-z0-9.+-]{1,60}") ? type.toLowerCase(Locale.ROOT) : NO_TYPE;
        this.encoding = encoding;
        this.requestId = requestId;
    }

    /** A piece of the response's body came. */
    synchronized void copy(byte[] bytes) {
        if (end != null || tooLong) {
            return;
        }
        tooLong = body.size() + bytes.length > LONGEST_BODY;
        if (tooLong) {
            body = new ByteArrayOutputStream();
        } else {
            body.writeBytes(bytes);
        }
    }

    /** Whether this is the first end. */
    synchronized boolean end(PassageEnd how) {
        boolean first = end == null;
        end = first ? how : end;
        return first;
    }

    synchronized @Nullable PassageEnd end() {
        return end;
    }

    RequestHead head() {
        return head;
    }

    synchronized int status() {
        return status;
    }

    synchronized String mediaType() {
        return mediaType;
    }

    synchronized @Nullable String requestId() {
        return requestId;
    }

    /** How the app asked; null where neither the response nor a header of the request tells. */
    synchronized @Nullable Mode mode() {
        if (status != 0 && status < 300) {
            boolean stream = mediaType.equals("text/event-stream") || mediaType.equals("application/x-ndjson");
            return stream ? Mode.STREAM : Mode.CALL;
        }
        return streamWanted || question.asksForStream() ? Mode.STREAM : null;
    }

    /** Whether the one who sent this may have read something of the other's response. */
    boolean cameAfter(Exchange other) {
        synchronized (other) {
            return other.status != 0 && arrived - other.answered > 0;
        }
    }

    /**
     * The body as text, as far as it came; the copy is let go.
     *
     * @throws IOException if it is longer than what is kept, or in an encoding that is not known here
     */
    synchronized String takeText() throws IOException {
        if (tooLong) {
            throw new IOException("it is longer than " + LONGEST_BODY + " bytes");
        }
        byte[] bytes = body.toByteArray();
        body = new ByteArrayOutputStream();
        if (encoding == null || encoding.isBlank() || encoding.equalsIgnoreCase("identity")) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
        if (!encoding.equalsIgnoreCase("gzip")) {
            throw new IOException("it is in a content encoding other than gzip");
        }
        return new String(gunzip(bytes), StandardCharsets.UTF_8);
    }

    private static byte[] gunzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        byte[] piece = new byte[8 * 1024];
        try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(bytes))) {
            for (int length = in.read(piece); length >= 0; length = in.read(piece)) {
                text.write(piece, 0, length);
                if (text.size() > LONGEST_BODY) {
                    throw new IOException("it is longer than " + LONGEST_BODY + " bytes");
                }
            }
        } catch (EOFException | ZipException cut) {
            // Of a response that broke off there is what was there before.
        }
        return text.toByteArray();
    }
}
