package io.fluxtally.boot.web;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** What asks an app on loopback. */
final class Browser {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private final int port;

    Browser(int port) {
        this.port = port;
    }

    /** The status and the whole body. */
    HttpResponse<String> get(String path) throws IOException, InterruptedException {
        return client.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                        .timeout(PATIENCE)
                        .build(),
                HttpResponse.BodyHandlers.ofString());
    }

    /** Reads until so many lines have come that begin like this, and leaves, as a closed tab does. Those lines. */
    List<String> leave(String path, String prefix, int after) throws IOException {
        List<String> lines = new ArrayList<>();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setSoTimeout((int) PATIENCE.toMillis());
            // Nothing is sent on after the close, and the other side hears of it by a reset.
            socket.setSoLinger(true, 0);
            // HTTP/1.0, so that the body comes as it is, and not in chunks.
            socket.getOutputStream()
                    .write(("GET " + path + " HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII));
            BufferedReader reader =
                    new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
            while (lines.size() < after) {
                String line = reader.readLine();
                if (line == null) {
                    throw new IOException("the response to " + path + " ended after " + lines);
                }
                if (line.startsWith(prefix)) {
                    lines.add(line);
                }
            }
        }
        return lines;
    }
}
