package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Anthropic's messages.
 *
 * <p>A stream reports input and cache at its start and the output at its end; where the end repeats a field, it corrects
 * it, so the last of each field counts (server tools raise the input on the way). {@code input_tokens} leaves out what was
 * read from the cache and written to it; here both are added, since input is inclusive. Reasoning is inside the output.
 *
 * <p>A body is taken for a response of this family if the request went to the messages endpoint, or if it is a stream
 * whose events name their types.
 */
public final class AnthropicDialect implements Dialect {

    private static final List<String> USAGE_FIELDS = List.of(
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "output_tokens_details.thinking_tokens");

    private static final int INPUT = 0;
    private static final int OUTPUT = 1;
    private static final int CACHE_READ = 2;
    private static final int CACHE_CREATION = 3;
    private static final int THINKING = 4;

    private static final FieldPaths PATHS = FieldPaths.of(
                    "type", "id", "model", "stop_reason", "delta.stop_reason", "message.id", "message.model")
            .and(USAGE_FIELDS.stream().map(field -> "usage." + field).toList())
            .and(USAGE_FIELDS.stream().map(field -> "message.usage." + field).toList());

    /** The dialect. */
    public AnthropicDialect() {}

    @Override
    public String provider() {
        return "anthropic";
    }

    @Override
    public boolean expects(RequestHead request) {
        return request.method().equals("POST") && request.path().endsWith("/v1/messages");
    }

    @Override
    public FieldPaths paths() {
        return PATHS;
    }

    @Override
    public ResponseReading newReading() {
        return new Reading();
    }

    private static final class Reading extends ResponseReading {

        private static final byte[] USAGE = JsonBytes.quoted("usage");
        private static final byte[] STOP_REASON = JsonBytes.quoted("stop_reason");
        private static final byte[] ERROR = JsonBytes.quoted("error");
        private static final byte[] MESSAGE_STOP = JsonBytes.quoted("message_stop");
        private final RawFigures usage = new RawFigures(USAGE_FIELDS.size());
        private final RawFigures event = new RawFigures(USAGE_FIELDS.size());

        private boolean sawUsage;
        private boolean isStream;
        private boolean finished;
        private boolean usageFinal;

        @Override
        public boolean wants(byte[] json, int length) {
            return JsonBytes.contains(json, length, USAGE)
                    || JsonBytes.contains(json, length, STOP_REASON)
                    || JsonBytes.contains(json, length, ERROR)
                    || JsonBytes.contains(json, length, MESSAGE_STOP);
        }

        @Override
        public void beginEvent() {
            event.clear();
        }

        @Override
        public void value(String path, JsonParser value) throws IOException {
            switch (path) {
                case "type" -> type(value.getValueAsString(""));
                case "id", "message.id" -> responseId(value.getValueAsString());
                case "model", "message.model" -> model(value.getValueAsString());
                case "stop_reason", "delta.stop_reason" -> finished |= value.getValueAsString() != null;
                default -> figure(path.substring(path.indexOf("usage.") + "usage.".length()), value);
            }
        }

        private void type(String type) {
            switch (type) {
                case "message_start" -> isStream = true;
                case "message_stop" -> finished = true;
                case "error" -> fail();
                default -> {}
            }
        }

        private void figure(String field, JsonParser value) throws IOException {
            event.set(USAGE_FIELDS.indexOf(field), UsageFigures.tokens(value));
        }

        @Override
        public void endEvent() {
            if (usage.takeLater(event)) {
                sawUsage = true;
                usageFinal = finished;
            }
        }

        @Override
        public boolean recognised(boolean expected) {
            return expected ? sawUsage || isStream || isFailed() : sawUsage && isStream;
        }

        @Override
        public boolean isFinished() {
            return finished;
        }

        @Override
        public boolean isUsageFinal() {
            return usageFinal;
        }

        @Override
        public boolean isUsageWhole() {
            return figures().isWhole();
        }

        @Override
        public @Nullable TokenUsage usage() {
            return figures().toUsage();
        }

        private UsageFigures figures() {
            UsageFigures figures = new UsageFigures();
            long input = usage.get(INPUT);
            long read = usage.get(CACHE_READ);
            long written = usage.get(CACHE_CREATION);
            if (input >= 0) {
                figures.input(UsageFigures.plus(UsageFigures.plus(input, read), written));
            }
            figures.output(usage.get(OUTPUT));
            figures.part(TokenPart.CACHE_READ_INPUT, read);
            figures.part(TokenPart.CACHE_CREATION_INPUT, written);
            figures.part(TokenPart.REASONING_OUTPUT, usage.get(THINKING));
            return figures;
        }
    }
}
