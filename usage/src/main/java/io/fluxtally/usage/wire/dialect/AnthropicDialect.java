package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Anthropic's messages.
 *
 * <p>A stream reports input and cache at its start and the output at its end; where the end repeats a field, it corrects
 * it, so the last of each field counts (server tools raise the input on the way). {@code input_tokens} leaves out what was
 * read from the cache and written to it; here both are added, since input is inclusive. Reasoning is inside the output.
 * What the compaction of a long conversation took is billed too but in none of these: it is added from
 * {@code iterations}, whose other entries the counts include (Anthropic's documentation of compaction).
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

    private static final String ITERATION = "iterations[]";

    private static final int INPUT = 0;
    private static final int OUTPUT = 1;
    private static final int CACHE_READ = 2;
    private static final int CACHE_CREATION = 3;
    private static final int THINKING = 4;

    private static final FieldPaths PATHS = FieldPaths.of(
                    "type", "id", "model", "stop_reason", "delta.stop_reason", "message.id", "message.model")
            .and(usageFields("usage."))
            .and(usageFields("message.usage."))
            .reporting("usage")
            .reporting("message.usage", "usage");

    private static List<String> usageFields(String usage) {
        List<String> fields = new ArrayList<>(List.of(usage + ITERATION, usage + ITERATION + ".type"));
        for (String field : USAGE_FIELDS) {
            fields.add(usage + field);
            fields.add(usage + ITERATION + '.' + field);
        }
        return fields;
    }

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

        private static final JsonBytes.Fields WANTED = new JsonBytes.Fields(
                JsonBytes.Field.orString("usage"),
                JsonBytes.Field.orString("stop_reason"),
                JsonBytes.Field.orString("error"),
                JsonBytes.Field.orString("message_stop"));

        private final WantedEvents wantedEvents = new WantedEvents(WANTED);
        private final RawFigures usage = new RawFigures(USAGE_FIELDS.size());
        private final RawFigures event = new RawFigures(USAGE_FIELDS.size());

        /** What compaction took: as last reported, in this event, and in this iteration of it. */
        private final RawFigures compaction = new RawFigures(USAGE_FIELDS.size());

        private final RawFigures eventCompaction = new RawFigures(USAGE_FIELDS.size());
        private final RawFigures iteration = new RawFigures(USAGE_FIELDS.size());
        private boolean isCompaction;

        private boolean sawUsage;
        private boolean isStream;
        private boolean finished;
        private boolean usageFinal;

        @Override
        public boolean wants(byte[] json, int length) {
            return wantedEvents.contain(json, length);
        }

        @Override
        public int skip(byte[] bytes, int from, int to) {
            return wantedEvents.skip(bytes, from, to);
        }

        @Override
        public void beginEvent() {
            event.clear();
            eventCompaction.clear();
        }

        @Override
        public void start(String path) {
            if (path.endsWith(ITERATION)) {
                iteration.clear();
                isCompaction = false;
            }
        }

        @Override
        public void end(String path) {
            if (path.endsWith(ITERATION) && isCompaction) {
                eventCompaction.add(iteration);
            }
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
            if (!field.startsWith(ITERATION)) {
                event.set(USAGE_FIELDS.indexOf(field), UsageFigures.tokens(value));
                return;
            }
            int figure = USAGE_FIELDS.indexOf(field.substring(field.indexOf('.') + 1));
            if (figure >= 0) {
                iteration.set(figure, UsageFigures.tokens(value));
            } else {
                isCompaction = value.getValueAsString("").equals("compaction");
            }
        }

        @Override
        public void endEvent() {
            compaction.takeLater(eventCompaction);
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
            long read = sum(CACHE_READ);
            long written = sum(CACHE_CREATION);
            if (usage.get(INPUT) >= 0) {
                figures.input(UsageFigures.plus(UsageFigures.plus(sum(INPUT), read), written));
            }
            if (usage.get(OUTPUT) >= 0) {
                figures.output(sum(OUTPUT));
            }
            figures.part(TokenPart.CACHE_READ_INPUT, read);
            figures.part(TokenPart.CACHE_CREATION_INPUT, written);
            figures.part(TokenPart.REASONING_OUTPUT, sum(THINKING));
            return figures;
        }

        private long sum(int figure) {
            return UsageFigures.plus(usage.get(figure), compaction.get(figure));
        }
    }
}
