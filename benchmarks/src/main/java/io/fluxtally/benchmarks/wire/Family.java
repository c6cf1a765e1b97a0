package io.fluxtally.benchmarks.wire;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** A family of streams, of events of about 300 bytes each. */
public enum Family {

    /** Usage on every event, as the counts so far. */
    DASHSCOPE("/api/v1/services/aigc/text-generation/generation") {

        @Override
        String event(int number, int of) {
            boolean last = number == of;
            return """
                    id:%1$d
                    event:result
                    :HTTP_STATUS/200
                    data:{"output":{"choices":[{"message":{"content":"%2$s","role":"assistant"},"finish_reason":"%3$s"}]},\
                    "usage":{"total_tokens":%4$d,"input_tokens":%5$d,"output_tokens":%1$d,"prompt_tokens_details":\
                    {"cached_tokens":0}},"request_id":"4f2a81bd-3e0c-9c57-a1d4-7be2f06c8a11"}

                    """.formatted(number, last ? "" : TEXT, last ? "stop" : "null", INPUT_TOKENS + number, INPUT_TOKENS);
        }

        @Override
        String end() {
            return "";
        }
    },

    /** Usage on an event of its own at the end, and null on all others. */
    OPENAI("/v1/chat/completions") {

        @Override
        String event(int number, int of) {
            boolean last = number == of;
            String choices = last
                    ? ""
                    : """
                    {"index":0,"delta":{%s},"logprobs":null,"finish_reason":%s}""".formatted(
                                    number == of - 1 ? "" : "\"content\":\"" + TEXT + '"',
                                    number == of - 1 ? "\"stop\"" : "null");
            String usage = last ? """
                    {"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}""".formatted(INPUT_TOKENS, number, INPUT_TOKENS + number) : "null";
            return """
                    data: {"id":"chatcmpl-Bq3Jt7v0cXzL5mWn8RkPdYf2aHsEu","object":"chat.completion.chunk","created":1750000000,\
                    "model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_6f2eabb9a5",\
                    "choices":[%s],"usage":%s}

                    """.formatted(choices, usage);
        }

        @Override
        String end() {
            return "data: [DONE]\n\n";
        }
    };

    /** The input tokens of every stream. */
    public static final int INPUT_TOKENS = 1_000;

    /** Some tokens. */
    private static final String TEXT = "forecasts of rain";

    /** The path of its endpoint. */
    public final String path;

    Family(String path) {
        this.path = path;
    }

    /** The event of a number, from 1 on; as many output tokens were spent until there. */
    abstract String event(int number, int of);

    /** What follows the events. */
    abstract String end();

    /** A stream of so many events. */
    public List<byte[]> stream(int events) {
        List<byte[]> stream = new ArrayList<>(events + 1);
        for (int number = 1; number <= events; number++) {
            stream.add(event(number, events).getBytes(StandardCharsets.UTF_8));
        }
        if (!end().isEmpty()) {
            stream.add(end().getBytes(StandardCharsets.UTF_8));
        }
        return stream;
    }
}
