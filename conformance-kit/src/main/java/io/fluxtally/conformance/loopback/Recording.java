package io.fluxtally.conformance.loopback;

import io.fluxtally.conformance.scenario.End;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * A response made ready to be sent any number of times: its headers settled and its body cut into writes. Immutable but for the
 * compressed body, which is made when a client first accepts one; thread-safe.
 */
final class Recording {

    private static final Set<String> FRAMING =
            Set.of("content-length", "content-encoding", "transfer-encoding", "connection");

    private final int status;

    private final Map<String, String> headers;

    private final boolean streamed;

    private final End end;

    private final List<byte[]> pieces;

    private volatile @Nullable List<byte[]> gzipped;

    private Recording(int status, Map<String, String> headers, boolean streamed, End end, List<byte[]> pieces) {
        this.status = status;
        this.headers = headers;
        this.streamed = streamed;
        this.end = end;
        this.pieces = pieces;
    }

    /** A scenario's response; a null chunking is the mode's own: by event in a stream, whole otherwise. */
    static Recording of(Mode mode, Response response, @Nullable Chunking chunking) {
        boolean error = response.status() >= 400;
        boolean streamed = mode == Mode.STREAM && !error;
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("content-type", streamed ? "text/event-stream;charset=UTF-8" : "application/json");
        response.headers().forEach((name, value) -> {
            String lowerCase = name.toLowerCase(Locale.ROOT);
            if (!FRAMING.contains(lowerCase)) {
                headers.put(lowerCase, value);
            }
        });
        Chunking own = streamed ? Chunking.byEvent() : Chunking.whole();
        Chunking used = error || chunking == null ? own : chunking;
        byte[] body = response.body().getBytes(StandardCharsets.UTF_8);
        return new Recording(response.status(), headers, streamed, response.end(), used.cut(body));
    }

    /** The answer to a request for which the scenario has no response. */
    static Recording exhausted(int responses, int request) {
        String body = "{\"code\":\"ScenarioExhausted\",\"message\":\"the scenario has " + responses
                + " responses, but this is request " + request + "\"}";
        return of(Mode.CALL, Response.of(500, body), null);
    }

    int status() {
        return status;
    }

    Map<String, String> headers() {
        return headers;
    }

    End end() {
        return end;
    }

    /** Whether the body goes out in HTTP chunks; otherwise its length is known beforehand. */
    boolean chunked() {
        return streamed || end != End.COMPLETE || pieces.size() > 1;
    }

    List<byte[]> pieces() {
        return pieces;
    }

    /** The pieces as one gzip stream, flushed at each cut, so that a client can decode each piece when it comes. */
    List<byte[]> gzipped() {
        List<byte[]> made = gzipped;
        if (made == null) {
            made = gzip(pieces, end == End.COMPLETE);
            gzipped = made;
        }
        return made;
    }

    private static List<byte[]> gzip(List<byte[]> pieces, boolean finished) {
        List<byte[]> gzipped = new ArrayList<>();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(out, 512, true)) {
            for (int i = 0; i < pieces.size(); i++) {
                gzip.write(pieces.get(i));
                if (finished && i == pieces.size() - 1) {
                    gzip.finish();
                } else {
                    gzip.flush();
                }
                gzipped.add(out.toByteArray());
                out.reset();
            }
        } catch (IOException e) {
            throw new UncheckedIOException("a body in memory cannot be compressed", e);
        }
        return gzipped;
    }
}
