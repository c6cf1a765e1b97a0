package io.fluxtally.usage.wire;

import java.util.List;

/** Writes documents onto the wire as some server might, with what does not count in between. */
final class JunkWire {

    private final FuzzInput in;
    private final StringBuilder wire = new StringBuilder();
    private boolean afterCarriageReturn;
    private boolean garbled;

    JunkWire(FuzzInput in) {
        this.in = in;
    }

    /** Whether something is in between that only looks like an event and cannot be read. */
    boolean isGarbled() {
        return garbled;
    }

    String events(List<String> documents) {
        mark();
        for (String json : documents) {
            between();
            if (in.onceIn(4)) {
                line("event: message");
            }
            for (String piece : json.split("\n")) {
                line((in.onceIn(2) ? "data: " : "data:") + piece);
                if (in.onceIn(8)) {
                    line(in.oneOf(": keep-alive", "id: 7", "retry:5", "dat: {}", "datas:{}", ":", "foo"));
                }
            }
            line("");
        }
        return wire.toString();
    }

    private void between() {
        while (!in.isUsedUp() && in.onceIn(4)) {
            switch (in.below(6)) {
                case 0 -> line(": " + "x".repeat(in.below(600)));
                case 1 -> line("");
                case 2 -> {
                    line("event: ping");
                    line("");
                }
                case 3 -> {
                    line("data: {\"x\":{\"usage\":{\"input_tokens\":99}}}");
                    line("");
                }
                case 4 -> {
                    garbled = true;
                    line("data: " + in.oneOf("hello", "{\"x\":", "{]", "\"", "{\"x\":1}}", "nul"));
                    line("");
                }
                default -> {
                    line("data:");
                    line("");
                }
            }
        }
    }

    private void line(String text) {
        wire.append(text);
        String end = in.oneOf("\n", "\r\n", "\r");
        if (text.isEmpty() && afterCarriageReturn && end.equals("\n")) {
            // Together they would be the end of one line.
            end = "\r\n";
        }
        wire.append(end);
        afterCarriageReturn = end.equals("\r");
    }

    String lines(List<String> documents) {
        mark();
        for (String json : documents) {
            wire.append(json).append(in.oneOf("\n", "\r\n", "\n\n", "\r"));
        }
        return wire.toString();
    }

    String records(List<String> documents) {
        for (String json : documents) {
            wire.append(in.oneOf("\u001e", "\u001e\u001e")).append(json).append(in.oneOf("\n", "", " \r\n"));
        }
        return wire.toString();
    }

    String array(List<String> documents) {
        mark();
        String comma = in.oneOf(",", "\n,\r\n", " , ");
        return wire.append(in.oneOf("", " \n"))
                .append('[')
                .append(String.join(comma, documents))
                .append(']')
                .append(in.oneOf("", "\n", "]", "{}", "x"))
                .toString();
    }

    String document(String json) {
        mark();
        return wire.append(in.oneOf("", " \r\n"))
                .append(json)
                .append(in.oneOf("", "\n", "}", "{}", "\u0000"))
                .toString();
    }

    private void mark() {
        if (in.onceIn(6)) {
            wire.append('\uFEFF');
        }
    }
}
