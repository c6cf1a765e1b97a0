package io.fluxtally.usage.wire;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Writes JSON that says what it is asked to, in any order and among fields that no dialect knows. */
final class JunkJson {

    /** Names that no dialect wants anywhere, some of which look as if they did. */
    private static final String[] NAMES = {
        "x",
        "",
        "é漢😀",
        "usage.input_tokens",
        "[]",
        "choices[]",
        "Usage",
        "\\u0000",
        "\\ud83d",
        "a\\\"usage\\\":{",
        "metrics"
    };

    private final FuzzInput in;
    private final boolean inLines;
    private int budget = 60;

    /**
     * @param inLines whether a line break would end the document
     */
    JunkJson(FuzzInput in, boolean inLines) {
        this.in = in;
        this.inLines = inLines;
    }

    static String field(String name, Object value) {
        return "\"" + name + "\":" + value;
    }

    /** An object with the given fields and others. */
    String object(String... fields) {
        List<String> all = new ArrayList<>(List.of(fields));
        if (in.onceIn(3)) {
            Collections.reverse(all);
        }
        while (budget > 0 && in.onceIn(3)) {
            budget--;
            all.add(in.below(all.size() + 1), name() + blank() + ":" + blank() + value(0));
        }
        return "{" + blank() + String.join(blank() + "," + blank(), all) + blank() + "}";
    }

    /** Any text, as JSON writes it. */
    String text() {
        StringBuilder text = new StringBuilder("\"");
        int pieces = in.below(5);
        for (int i = 0; i < pieces; i++) {
            text.append(in.oneOf(
                    "a",
                    "é漢😀",
                    "\\\"usage\\\":{\\\"input_tokens\\\":99}",
                    "data: [DONE]",
                    "\\n\\ndata: x",
                    "\\ud800",
                    "}}]",
                    "[DONE]",
                    "\\u2028\u2028",
                    "\\\\"));
        }
        if (in.onceIn(8)) {
            text.append("漢".repeat(in.below(3000)));
        }
        return text.append('"').toString();
    }

    private String name() {
        return "\"" + in.oneOf(NAMES) + "\"";
    }

    private String value(int depth) {
        int kind = in.below(depth > 4 ? 6 : 10);
        return switch (kind) {
            case 0 -> "null";
            case 1 -> String.valueOf(in.tokens());
            case 2 -> in.oneOf("true", "false");
            case 3 -> in.oneOf("-1", "1.5e3", "1e99", "-0.0", "123456789012345678901234567890");
            case 4 -> text();
            case 5 -> {
                int levels = 1 + in.below(200);
                yield in.onceIn(2)
                        ? "[".repeat(levels) + "]".repeat(levels)
                        : "{\"x\":".repeat(levels) + "1" + "}".repeat(levels);
            }
            case 6 -> "[" + value(depth + 1) + "," + blank() + value(depth + 1) + "]";
            case 7 -> "{" + name() + ":" + value(depth + 1) + "}";
            // What a dialect would read, were it not inside something that it does not know.
            case 8 ->
                "{\"usage\":{\"input_tokens\":99,\"output_tokens\":99,\"prompt_tokens\":99,\"completion_tokens\":99},\"eval_count\":99,"
                        + "\"finish_reason\":\"stop\",\"done\":true,\"error\":{\"code\":\"x\"},\"usageMetadata\":{\"promptTokenCount\":99}}";
            default ->
                "[{\"finish_reason\":\"stop\",\"index\":1,\"usage\":{\"total_tokens\":99}}," + value(depth + 1) + "]";
        };
    }

    private String blank() {
        return switch (in.below(12)) {
            case 9 -> " ";
            case 10 -> inLines ? " " : "\n";
            case 11 -> "\t ";
            default -> "";
        };
    }
}
