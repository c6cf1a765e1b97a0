package io.fluxtally.conformance.capture;

import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Finds the model that a request asks for in its JSON body as it passes: the text under {@code model} of the outermost object.
 * DashScope's own protocol names the model nowhere else. It holds no other text than a name of limited length. Not safe for use
 * by several threads.
 */
final class RequestModel {

    private static final int LONGEST = 128;

    private static final String KEY = "model";

    private final byte[] text = new byte[LONGEST];
    private int length;
    private int depth;
    private boolean inString;
    private boolean escaped;
    private boolean odd;

    /** Whether the outermost object's next text is a key. */
    private boolean beforeKey;

    private boolean ofModel;
    private boolean over;
    private @Nullable String model;

    /** Takes the next piece of the body. */
    void feed(byte[] piece) {
        for (int i = 0; i < piece.length && !over; i++) {
            if (inString) {
                inText(piece[i]);
            } else {
                outside(piece[i]);
            }
        }
    }

    private void inText(byte c) {
        if (escaped || c == '\\') {
            // No name that is looked for has an escape.
            escaped = !escaped;
            odd = true;
        } else if (c == '"') {
            inString = false;
            ended();
        } else if (depth == 1 && length < LONGEST) {
            text[length++] = c;
        } else {
            odd = true;
        }
    }

    private void ended() {
        if (depth != 1) {
            return;
        }
        String value = odd ? "" : new String(text, 0, length, StandardCharsets.UTF_8);
        if (beforeKey) {
            ofModel = value.equals(KEY);
            beforeKey = false;
        } else if (ofModel) {
            model = value.isEmpty() ? null : value;
            over = true;
        }
    }

    private void outside(byte c) {
        switch (c) {
            case '"' -> {
                inString = true;
                length = 0;
                odd = false;
            }
            case '{', '[' -> {
                over = depth == 0 && c == '[';
                depth++;
                beforeKey = depth == 1;
            }
            case '}', ']' -> {
                depth--;
                over = depth <= 0;
            }
            case ',' -> beforeKey = depth == 1 || beforeKey;
            default -> over = depth == 0 && c > ' ';
        }
    }

    /** The model, or null if none was named so far. */
    @Nullable
    String model() {
        return model;
    }
}
