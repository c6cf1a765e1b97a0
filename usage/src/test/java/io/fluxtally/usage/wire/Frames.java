package io.fluxtally.usage.wire;

import java.util.Arrays;
import java.util.stream.Collectors;

/** Frames and chunks of the two families, in the shapes that their providers write. */
public final class Frames {

    private Frames() {}

    /** Documents as the events of a stream. */
    public static String events(String... documents) {
        return Arrays.stream(documents).map(json -> "data: " + json + "\n\n").collect(Collectors.joining());
    }

    /** Documents as DashScope writes its events. */
    public static String dashScopeEvents(String... documents) {
        StringBuilder stream = new StringBuilder();
        int id = 1;
        for (String json : documents) {
            stream.append("id:")
                    .append(id++)
                    .append("\nevent:result\n:HTTP_STATUS/200\ndata:")
                    .append(json)
                    .append("\n\n");
        }
        return stream.toString();
    }

    public static String dashScope(String text, String finish, String usage) {
        return dashScope(0, text, finish, usage);
    }

    public static String dashScope(int choice, String text, String finish, String usage) {
        return """
                {"output":{"choices":[{"message":{"content":"%s","role":"assistant"},"index":%d,"finish_reason":"%s"}]},"usage":%s,"request_id":"R1"}""".formatted(text, choice, finish, usage);
    }

    /** A running total of the native protocol. */
    public static String tokens(long input, long output) {
        return "{\"input_tokens\":%d,\"output_tokens\":%d,\"total_tokens\":%d}"
                .formatted(input, output, input + output);
    }

    public static String openAi(String text, String usage) {
        return openAi(0, "{\"content\":\"" + text + "\"}", "null", usage);
    }

    public static String openAiFinish(String usage) {
        return openAi(0, "{}", "\"stop\"", usage);
    }

    public static String openAi(int choice, String delta, String finish, String usage) {
        return """
                {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-x","choices":[{"index":%d,"delta":%s,"finish_reason":%s}],"usage":%s}""".formatted(choice, delta, finish, usage);
    }

    public static String openAiUsageOnly(String usage) {
        return """
                {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-x","choices":[],"usage":%s}""".formatted(usage);
    }

    public static String openAiCall(String usage) {
        return """
                {"id":"chatcmpl-1","object":"chat.completion","model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"ab"},"finish_reason":"stop"}],"usage":%s}""".formatted(usage);
    }

    /** A total of the compatible protocol. */
    public static String promptTokens(long input, long output) {
        return "{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"total_tokens\":%d}"
                .formatted(input, output, input + output);
    }
}
