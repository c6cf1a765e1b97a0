package io.fluxtally.usage.wire;

import static io.fluxtally.usage.wire.JunkJson.field;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.util.ArrayList;
import java.util.List;

/** A provider family: where it answers, and answers of it whose figure is known. */
enum FuzzedFamily {
    DASHSCOPE("/api/v1/services/aigc/text-generation/generation") {
        @Override
        Answer answer(FuzzInput in) {
            boolean call = in.onceIn(4);
            int choices = call ? 1 : 1 + in.below(3);
            JunkJson json = new JunkJson(in, false);
            long cached = in.tokens();
            long input = cached + in.tokens();
            List<String> frames = new ArrayList<>();
            long sum = 0;
            long reasoningSum = 0;
            if (!call && in.onceIn(3)) {
                frames.add(json.object("\"output\":{\"choices\":[]}", "\"usage\":{}"));
            }
            // A stream has begun each choice before it ends one.
            for (int choice = 0; choice < choices && !call; choice++) {
                frames.add(dashScopeFrame(json, choice, false, input, 1, cached, 0));
            }
            for (int choice = 0; choice < choices; choice++) {
                long output = 0;
                long reasoning = 0;
                int more = call ? 0 : in.below(3);
                for (int i = 0; i <= more; i++) {
                    reasoning += in.tokens();
                    output = reasoning + 1 + in.tokens();
                    frames.add(dashScopeFrame(json, choice, i == more, input, output, cached, reasoning));
                }
                sum += output;
                reasoningSum += reasoning;
            }
            TokenUsage usage = TokenUsage.builder()
                    .inputTokens(input)
                    .outputTokens(sum)
                    .part(TokenPart.CACHE_READ_INPUT, cached)
                    .part(TokenPart.REASONING_OUTPUT, reasoningSum)
                    .build();
            Answer answer = call ? Answer.document(in, frames.get(0), usage) : Answer.events(in, frames, usage);
            return answer.reporting("usage.input_tokens", input);
        }
    },
    OPENAI("/v1/chat/completions") {
        @Override
        Answer answer(FuzzInput in) {
            JunkJson json = new JunkJson(in, false);
            long cached = in.tokens();
            long input = cached + in.tokens();
            long reasoning = in.tokens();
            long output = reasoning + in.tokens();
            String last = openAiUsage(json, input, output, cached, reasoning);
            TokenUsage usage = usage(input, output, cached, reasoning);
            if (in.onceIn(4)) {
                return Answer.document(in, openAiChunk(json, "\"stop\"", last), usage)
                        .reporting("usage.prompt_tokens", input);
            }
            List<String> chunks = new ArrayList<>();
            boolean running = in.onceIn(2);
            int more = in.below(4);
            for (int i = 0; i < more; i++) {
                chunks.add(openAiChunk(json, "null", running ? openAiUsage(json, input, i, cached, 0) : "null"));
            }
            boolean onFinish = in.onceIn(2);
            chunks.add(openAiChunk(json, "\"stop\"", onFinish ? last : "null"));
            if (!onFinish) {
                chunks.add(json.object(in.oneOf("\"choices\":[]", "\"choices\":null"), field("usage", last)));
            }
            chunks.add("[DONE]");
            return Answer.events(in, chunks, usage).reporting("usage.completion_tokens", output);
        }
    },
    RESPONSES("/v1/responses") {
        @Override
        Answer answer(FuzzInput in) {
            JunkJson json = new JunkJson(in, false);
            long cached = in.tokens();
            long input = cached + in.tokens();
            long reasoning = in.tokens();
            long output = reasoning + in.tokens();
            TokenUsage usage = usage(input, output, cached, reasoning);
            String figures = json.object(
                    field("input_tokens", input),
                    field("output_tokens", output),
                    field("total_tokens", input + output),
                    field("input_tokens_details", json.object(field("cached_tokens", cached))),
                    field("output_tokens_details", json.object(field("reasoning_tokens", reasoning))));
            String end = in.oneOf("completed", "incomplete");
            String response = response(json, end, figures);
            if (in.onceIn(4)) {
                return Answer.document(in, response, usage).reporting("usage.total_tokens", input + output);
            }
            List<String> events = new ArrayList<>();
            events.add(json.object(
                    "\"type\":\"response.created\"", field("response", response(json, "in_progress", "null"))));
            int more = in.below(3);
            for (int i = 0; i < more; i++) {
                events.add(json.object("\"type\":\"response.output_text.delta\"", field("delta", json.text())));
            }
            events.add(json.object(field("type", "\"response." + end + "\""), field("response", response)));
            return Answer.events(in, events, usage).reporting("usage.input_tokens_details.cached_tokens", cached);
        }
    },
    ANTHROPIC("/v1/messages") {
        @Override
        Answer answer(FuzzInput in) {
            JunkJson json = new JunkJson(in, false);
            long input = in.tokens();
            long read = in.tokens();
            long written = in.tokens();
            long output = in.tokens();
            long compacted = in.onceIn(2) ? in.tokens() : 0;
            TokenUsage usage = TokenUsage.builder()
                    .inputTokens(input + read + written + compacted)
                    .outputTokens(output + compacted)
                    .part(TokenPart.CACHE_READ_INPUT, read)
                    .part(TokenPart.CACHE_CREATION_INPUT, written)
                    .build();
            String figures = anthropicUsage(json, input, read, written, output, compacted);
            if (in.onceIn(4)) {
                String message = json.object(
                        "\"id\":\"msg_1\"",
                        "\"type\":\"message\"",
                        "\"stop_reason\":\"end_turn\"",
                        field("content", "[" + json.object(field("text", json.text())) + "]"),
                        field("usage", figures));
                return Answer.document(in, message, usage).reporting("usage.input_tokens", input);
            }
            boolean outputOnly = in.onceIn(2);
            String first = outputOnly
                    ? anthropicUsage(json, input, read, written, 1, 0)
                    : anthropicUsage(json, in.tokens(), in.tokens(), in.tokens(), 1, 0);
            List<String> events = new ArrayList<>();
            events.add(json.object(
                    "\"type\":\"message_start\"",
                    field("message", json.object("\"id\":\"msg_1\"", field("usage", first)))));
            int more = in.below(3);
            for (int i = 0; i < more; i++) {
                events.add(json.object(
                        "\"type\":\"content_block_delta\"", field("delta", json.object(field("text", json.text())))));
            }
            String delta = json.object("\"stop_reason\":\"end_turn\"");
            String last = outputOnly
                    ? json.object(field("output_tokens", output), field("iterations", iterations(json, compacted)))
                    : figures;
            events.add(json.object("\"type\":\"message_delta\"", field("delta", delta), field("usage", last)));
            events.add(json.object("\"type\":\"message_stop\""));
            return Answer.events(in, events, usage).reporting("usage.input_tokens", input);
        }
    },
    GEMINI("/v1beta/models/gemini-x:streamGenerateContent") {
        @Override
        Answer answer(FuzzInput in) {
            JunkJson json = new JunkJson(in, false);
            long cached = in.tokens();
            long prompt = cached + in.tokens();
            long tools = in.tokens();
            long candidates = 0;
            long thoughts = 0;
            List<String> chunks = new ArrayList<>();
            int more = in.below(4);
            for (int i = 0; i <= more; i++) {
                candidates += in.tokens();
                thoughts += in.tokens();
                String candidate = json.object(
                        field("content", json.object(field("text", json.text()))),
                        "\"index\":0",
                        i == more ? "\"finishReason\":\"STOP\"" : "\"x\":0");
                chunks.add(json.object(
                        field("candidates", "[" + candidate + "]"),
                        field(
                                "usageMetadata",
                                json.object(
                                        field("promptTokenCount", prompt),
                                        field("toolUsePromptTokenCount", tools),
                                        field("cachedContentTokenCount", cached),
                                        field("candidatesTokenCount", candidates),
                                        field("thoughtsTokenCount", thoughts),
                                        field("totalTokenCount", prompt + tools + candidates + thoughts)))));
            }
            TokenUsage usage = usage(prompt + tools, candidates + thoughts, cached, thoughts);
            if (more == 0 && in.onceIn(2)) {
                return Answer.document(in, chunks.get(0), usage).reporting("usageMetadata.promptTokenCount", prompt);
            }
            Answer answer = in.onceIn(2) ? Answer.array(in, chunks, usage) : Answer.events(in, chunks, usage);
            return answer.reporting("usageMetadata.candidatesTokenCount", candidates);
        }
    },
    OLLAMA("/api/chat") {
        @Override
        Answer answer(FuzzInput in) {
            int shape = in.below(4);
            JunkJson json = new JunkJson(in, shape < 2);
            long input = in.tokens();
            long output = in.tokens();
            String last = json.object(
                    "\"model\":\"m\"",
                    "\"done\":true",
                    field("prompt_eval_count", input),
                    field("eval_count", output),
                    field("message", json.object(field("content", json.text()))));
            TokenUsage usage = TokenUsage.of(input, output);
            if (shape == 3) {
                return Answer.document(in, last, usage).reporting("prompt_eval_count", input);
            }
            List<String> lines = new ArrayList<>();
            int more = in.below(4);
            for (int i = 0; i < more; i++) {
                lines.add(json.object("\"done\":false", field("message", json.object(field("content", json.text())))));
            }
            lines.add(last);
            Answer answer = shape == 2 ? Answer.records(in, lines, usage) : Answer.lines(in, lines, usage);
            return answer.reporting("eval_count", output);
        }
    },
    BEDROCK("/model/m/converse-stream") {
        @Override
        Answer answer(FuzzInput in) {
            JunkJson json = new JunkJson(in, false);
            long input = in.tokens();
            long read = in.tokens();
            long written = in.tokens();
            long output = in.tokens();
            TokenUsage usage = TokenUsage.builder()
                    .inputTokens(input + read + written)
                    .outputTokens(output)
                    .part(TokenPart.CACHE_READ_INPUT, read)
                    .part(TokenPart.CACHE_CREATION_INPUT, written)
                    .build();
            String figures = json.object(
                    field("inputTokens", input),
                    field("outputTokens", output),
                    field("cacheReadInputTokens", read),
                    field("cacheWriteInputTokens", written),
                    field("totalTokens", input + read + written + output));
            if (in.onceIn(4)) {
                String document = json.object(
                        field("output", json.object(field("message", json.text()))),
                        "\"stopReason\":\"end_turn\"",
                        field("usage", figures));
                return Answer.document(in, document, usage).reporting("usage.inputTokens", input);
            }
            List<byte[]> messages = new ArrayList<>();
            messages.add(Messages.event("messageStart", json.object("\"role\":\"assistant\"")));
            int more = in.below(4);
            for (int i = 0; i < more; i++) {
                messages.add(Messages.event(
                        in.oneOf("contentBlockDelta", "contentBlockStop", "unknown"),
                        json.object(field("delta", json.object(field("text", json.text()))))));
            }
            messages.add(Messages.event("messageStop", json.object("\"stopReason\":\"end_turn\"")));
            messages.add(Messages.event("metadata", json.object(field("usage", figures))));
            return Answer.messages(messages, usage).reporting("usage.outputTokens", output);
        }
    };

    /**
     * A whole answer as it is on the wire.
     *
     * @param field a field that the usage was made of
     * @param figure the last figure in it
     * @param garbled whether a part of it cannot be read, so that what is read of it may count as less than final
     */
    record Answer(String type, byte[] body, TokenUsage usage, boolean garbled, String field, long figure) {

        private Answer(String type, String body, TokenUsage usage, boolean garbled) {
            this(type, body.getBytes(UTF_8), usage, garbled, "", 0);
        }

        /** The same, with a figure as it is reported. */
        private Answer reporting(String name, long last) {
            return new Answer(type, body, usage, garbled, name, last);
        }

        private static Answer messages(List<byte[]> messages, TokenUsage usage) {
            byte[] body = Messages.join(messages.toArray(byte[][]::new));
            return new Answer(Messages.CONTENT_TYPE, body, usage, false, "", 0);
        }

        private static Answer events(FuzzInput in, List<String> documents, TokenUsage usage) {
            JunkWire wire = new JunkWire(in);
            String body = wire.events(documents);
            return new Answer(TapUnderTest.EVENTS, body, usage, wire.isGarbled());
        }

        private static Answer lines(FuzzInput in, List<String> documents, TokenUsage usage) {
            String type = in.oneOf("application/x-ndjson", "application/jsonl", "Application/X-JSONLines; a=b");
            return new Answer(type, new JunkWire(in).lines(documents), usage, false);
        }

        private static Answer records(FuzzInput in, List<String> documents, TokenUsage usage) {
            return new Answer("application/json-seq", new JunkWire(in).records(documents), usage, false);
        }

        private static Answer array(FuzzInput in, List<String> documents, TokenUsage usage) {
            return new Answer(TapUnderTest.JSON, new JunkWire(in).array(documents), usage, false);
        }

        private static Answer document(FuzzInput in, String json, TokenUsage usage) {
            return new Answer(TapUnderTest.JSON, new JunkWire(in).document(json), usage, false);
        }
    }

    private final String path;

    FuzzedFamily(String path) {
        this.path = path;
    }

    String path() {
        return path;
    }

    /** An answer with junk all around, and what it is to be booked as. */
    abstract Answer answer(FuzzInput in);

    private static TokenUsage usage(long input, long output, long cached, long reasoning) {
        return TokenUsage.builder()
                .inputTokens(input)
                .outputTokens(output)
                .part(TokenPart.CACHE_READ_INPUT, cached)
                .part(TokenPart.REASONING_OUTPUT, reasoning)
                .build();
    }

    private static String dashScopeFrame(
            JunkJson json, int choice, boolean last, long input, long output, long cached, long reasoning) {
        String one = json.object(
                field("index", choice),
                field("finish_reason", last ? "\"stop\"" : "\"null\""),
                field("message", json.object(field("content", json.text()))));
        String usage = json.object(
                field("input_tokens", input),
                field("output_tokens", output),
                field("total_tokens", input + output),
                field("prompt_tokens_details", json.object(field("cached_tokens", cached))),
                field("output_tokens_details", json.object(field("reasoning_tokens", reasoning))));
        return json.object(
                field("output", json.object(field("choices", "[" + one + "]"))),
                field("usage", usage),
                "\"request_id\":\"R1\"");
    }

    private static String openAiUsage(JunkJson json, long input, long output, long cached, long reasoning) {
        return json.object(
                field("prompt_tokens", input),
                field("completion_tokens", output),
                field("total_tokens", input + output),
                field("prompt_tokens_details", json.object(field("cached_tokens", cached))),
                field("completion_tokens_details", json.object(field("reasoning_tokens", reasoning))));
    }

    private static String openAiChunk(JunkJson json, String finish, String usage) {
        String choice = json.object(
                "\"index\":0",
                field("delta", json.object(field("content", json.text()))),
                field("finish_reason", finish));
        return json.object(
                "\"id\":\"c1\"", field("choices", "[" + choice + "]"), field("usage", usage), "\"error\":null");
    }

    private static String response(JunkJson json, String status, String usage) {
        return json.object(
                "\"object\":\"response\"",
                "\"id\":\"resp_1\"",
                field("status", "\"" + status + "\""),
                field("output", "[" + json.object(field("text", json.text())) + "]"),
                field("usage", usage));
    }

    private static String anthropicUsage(
            JunkJson json, long input, long read, long written, long output, long compacted) {
        return json.object(
                field("input_tokens", input),
                field("cache_read_input_tokens", read),
                field("cache_creation_input_tokens", written),
                field("output_tokens", output),
                field("iterations", iterations(json, compacted)));
    }

    /** An iteration that is inside the counts, and one that is beside them. */
    private static String iterations(JunkJson json, long compacted) {
        String message = json.object("\"type\":\"message\"", "\"input_tokens\":7", "\"output_tokens\":7");
        String compaction = json.object(
                "\"type\":\"compaction\"", field("input_tokens", compacted), field("output_tokens", compacted));
        return compacted == 0 ? "[" + message + "]" : "[" + compaction + "," + message + "]";
    }
}
