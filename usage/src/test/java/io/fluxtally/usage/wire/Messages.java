package io.fluxtally.usage.wire;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import software.amazon.eventstream.HeaderValue;
import software.amazon.eventstream.Message;

/** Messages of an {@code application/vnd.amazon.eventstream}, by the AWS SDK's own encoder. */
public final class Messages {

    public static final String CONTENT_TYPE = "application/vnd.amazon.eventstream";

    private Messages() {}

    public static byte[] event(String type, String json) {
        return message("event", ":event-type", type, json);
    }

    public static byte[] exception(String type) {
        return message("exception", ":exception-type", type, "{\"message\":\"slow down\"}");
    }

    public static byte[] message(String messageType, String typeHeader, String type, String json) {
        Map<String, HeaderValue> headers = new LinkedHashMap<>();
        headers.put(typeHeader, HeaderValue.fromString(type));
        headers.put(":content-type", HeaderValue.fromString("application/json"));
        headers.put(":message-type", HeaderValue.fromString(messageType));
        return encoded(headers, json.getBytes(UTF_8));
    }

    public static byte[] encoded(Map<String, HeaderValue> headers, byte[] payload) {
        ByteBuffer encoded = new Message(headers, payload).toByteBuffer();
        byte[] bytes = new byte[encoded.remaining()];
        encoded.get(bytes);
        return bytes;
    }

    public static byte[] join(byte[]... pieces) {
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        for (byte[] piece : pieces) {
            joined.writeBytes(piece);
        }
        return joined.toByteArray();
    }
}
