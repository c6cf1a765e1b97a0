package io.fluxtally.conformance.loopback;

import io.netty.channel.Channel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** What the kernel holds of a connection's bytes: not sent yet, or not acknowledged. Known on Linux alone. */
final class SendQueue {

    /** One line for each socket; that of a dual-stack socket is in the second. */
    private static final List<Path> SOCKETS = List.of(Path.of("/proc/net/tcp"), Path.of("/proc/net/tcp6"));

    private SendQueue() {}

    /** Whether it holds some for sure: false where that is not known, and for a connection that is closed. */
    static boolean hasBytes(Channel connection) {
        String from = port(connection.localAddress());
        String to = port(connection.remoteAddress());
        return SOCKETS.stream().anyMatch(sockets -> {
            try (Stream<String> lines = Files.lines(sockets, StandardCharsets.US_ASCII)) {
                // Number, local and remote address as HOST:PORT, state, and the two queues as SENT:RECEIVED.
                return lines.map(line -> line.strip().split("\\s+", 6))
                        .filter(socket -> socket.length == 6 && socket[1].endsWith(from) && socket[2].endsWith(to))
                        .anyMatch(socket -> !socket[4].startsWith("00000000:"));
            } catch (IOException | UncheckedIOException notLinux) {
                return false;
            }
        });
    }

    private static String port(SocketAddress address) {
        // A connection that is closed may have no address, and no socket has this one.
        return address instanceof InetSocketAddress inet ? String.format(Locale.ROOT, ":%04X", inet.getPort()) : "none";
    }
}
