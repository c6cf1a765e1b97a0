package io.fluxtally.usage.wire;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The WHATWG's rules for server-sent events, written down over the whole text and without a thought to speed. It knows
 * bytes only: each is one character.
 */
final class ServerSentEventsReference {

    private static final String BYTE_ORDER_MARK = "\u00EF\u00BB\u00BF";

    private ServerSentEventsReference() {}

    /** The data of each event; null for one whose data is longer than the limit. */
    static List<byte[]> decode(byte[] stream, int limit) {
        String text = new String(stream, ISO_8859_1);
        if (text.startsWith(BYTE_ORDER_MARK)) {
            text = text.substring(BYTE_ORDER_MARK.length());
        }
        // The end of the stream ends the line and the event, as it does for the clients.
        text += "\n\n";
        List<byte[]> events = new ArrayList<>();
        List<String> data = new ArrayList<>();
        for (String line : text.split("\r\n|\n|\r", -1)) {
            if (line.isEmpty()) {
                if (!data.isEmpty()) {
                    String joined = String.join("\n", data);
                    events.add(joined.length() > limit ? null : joined.getBytes(ISO_8859_1));
                }
                data.clear();
            } else if (line.equals("data")) {
                data.add("");
            } else if (line.startsWith("data:")) {
                String value = line.substring("data:".length());
                data.add(value.startsWith(" ") ? value.substring(1) : value);
            }
        }
        return events;
    }

    /** The events as text that a failed assertion can show. */
    static List<String> show(List<byte[]> events) {
        return events.stream()
                .map(event -> event == null ? "too long" : Arrays.toString(event))
                .collect(Collectors.toList());
    }
}
