package io.fluxtally.conformance.loopback;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** An HTTP client of a few lines over a bare socket, which sees each HTTP chunk and how the connection ends. */
final class RawClient implements AutoCloseable {

    private final Socket socket;

    private final InputStream in;

    RawClient(LoopbackProvider provider) throws IOException {
        this(provider, new Socket());
    }

    private RawClient(LoopbackProvider provider, Socket socket) throws IOException {
        this.socket = socket;
        socket.connect(new InetSocketAddress("127.0.0.1", provider.port()));
        socket.setSoTimeout(10_000);
        in = socket.getInputStream();
    }

    /** A client whose kernel takes about so many bytes that it has not read yet. */
    static RawClient withRoomFor(int bytes, LoopbackProvider provider) throws IOException {
        Socket socket = new Socket();
        socket.setReceiveBufferSize(bytes);
        return new RawClient(provider, socket);
    }

    /** Sends a request and reads the head of its response. */
    String post(String path, String... headers) throws IOException {
        StringBuilder request = new StringBuilder("POST " + path + " HTTP/1.1\r\nHost: localhost\r\n");
        for (String header : headers) {
            request.append(header).append("\r\n");
        }
        request.append("Content-Length: 2\r\n\r\n{}");
        socket.getOutputStream().write(request.toString().getBytes(StandardCharsets.US_ASCII));
        StringBuilder head = new StringBuilder();
        for (String line = line(); !line.isEmpty(); line = line()) {
            head.append(line).append('\n');
        }
        return head.toString();
    }

    /** The next HTTP chunk, empty for the last one. */
    byte[] chunk() throws IOException {
        int length = Integer.parseInt(line(), 16);
        byte[] chunk = in.readNBytes(length);
        if (chunk.length < length) {
            throw new EOFException("the connection ended within a chunk");
        }
        line();
        return chunk;
    }

    String text() throws IOException {
        return new String(chunk(), StandardCharsets.UTF_8);
    }

    /** All chunks up to the last one. */
    List<String> texts() throws IOException {
        List<String> texts = new ArrayList<>();
        for (String text = text(); !text.isEmpty(); text = text()) {
            texts.add(text);
        }
        return texts;
    }

    byte[] bytes(int length) throws IOException {
        return in.readNBytes(length);
    }

    int read() throws IOException {
        return in.read();
    }

    private String line() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int b = in.read(); b != '\n'; b = in.read()) {
            if (b < 0) {
                throw new EOFException("the connection ended within a line");
            }
            if (b != '\r') {
                line.write(b);
            }
        }
        return line.toString(StandardCharsets.UTF_8);
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
