package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * OpenAI's responses.
 *
 * <p>Of a stream, the event that ends it has the usage ({@code response.completed}, {@code .incomplete} or
 * {@code .failed}); before that it is null. Cached tokens are inside the input, reasoning inside the output.
 *
 * <p>A response that is one document has a status: {@code completed} and {@code incomplete} (cut by a limit, and billed) are
 * finished, {@code failed} and {@code cancelled} are ends too. {@code queued} and {@code in_progress} are the answer to a
 * request for work in the background: what it will be billed is not known yet, and never comes on this request. (OpenAI's
 * API reference, the response object.)
 *
 * <p>The response names its own type, {@code "object":"response"}; since that is a common word, its id or the endpoint
 * that the request went to has to agree.
 */
public final class OpenAiResponsesDialect implements Dialect {

    private static final Set<String> ENDS = Set.of("response.completed", "response.incomplete", "response.failed");

    private static final Map<String, TokenPart> PARTS = Map.of(
            "usage.input_tokens_details.cached_tokens", TokenPart.CACHE_READ_INPUT,
            "usage.input_tokens_details.cache_write_tokens", TokenPart.CACHE_CREATION_INPUT,
            "usage.output_tokens_details.reasoning_tokens", TokenPart.REASONING_OUTPUT);

    private static final Set<String> UNDER_WAY = Set.of("queued", "in_progress");

    private static final String NESTED = "response.";

    private static final List<String> FIELDS =
            List.of("object", "id", "model", "usage.input_tokens", "usage.output_tokens", "usage.total_tokens");

    /** The response is the document, or of a stream the field of an event. */
    private static final FieldPaths PATHS = FieldPaths.of("type", "status")
            .and(FIELDS)
            .and(PARTS.keySet())
            .and(FIELDS.stream().map(NESTED::concat).toList())
            .and(PARTS.keySet().stream().map(NESTED::concat).toList())
            .reporting("usage")
            .reporting(NESTED + "usage", "usage");

    /** The dialect. */
    public OpenAiResponsesDialect() {}

    @Override
    public String provider() {
        return "openai";
    }

    @Override
    public boolean expects(RequestHead request) {
        return request.method().equals("POST") && request.path().endsWith("/responses");
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

        private static final JsonBytes.Fields WANTED =
                new JsonBytes.Fields(JsonBytes.Field.orString("response"), JsonBytes.Field.orString("error"));

        private final WantedEvents wantedEvents = new WantedEvents(WANTED);
        private final UsageFigures figures = new UsageFigures();
        private UsageFigures event = new UsageFigures();
        private boolean namesItself;
        private boolean hasOwnId;
        private boolean finished;
        private boolean underWay;
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
            event = new UsageFigures();
        }

        @Override
        public void value(String path, JsonParser value) throws IOException {
            if (path.equals("type")) {
                type(value.getValueAsString(""));
                return;
            }
            if (path.equals("status")) {
                status(value.getValueAsString(""));
                return;
            }
            String field = path.startsWith(NESTED) ? path.substring(NESTED.length()) : path;
            switch (field) {
                case "object" -> namesItself |= value.getValueAsString("").equals("response");
                case "id" -> {
                    hasOwnId |= value.getValueAsString("").startsWith("resp_");
                    responseId(value.getValueAsString());
                }
                case "model" -> model(value.getValueAsString());
                case "usage.input_tokens" -> event.input(UsageFigures.tokens(value));
                case "usage.output_tokens" -> event.output(UsageFigures.tokens(value));
                case "usage.total_tokens" -> event.total(UsageFigures.tokens(value));
                default -> {
                    TokenPart part = PARTS.get(field);
                    if (part != null) {
                        event.part(part, UsageFigures.tokens(value));
                    }
                }
            }
        }

        private void type(String type) {
            finished |= ENDS.contains(type);
            if (type.equals("response.failed") || type.equals("error")) {
                fail();
            }
        }

        /** Takes the status of a response that is one document; of a stream, the types of the events say it. */
        private void status(String status) {
            underWay = UNDER_WAY.contains(status);
            if (status.equals("failed")) {
                fail();
            }
        }

        @Override
        public void endEvent() {
            if (!event.isEmpty()) {
                figures.takeLater(event);
                usageFinal = finished;
            }
        }

        @Override
        public boolean recognised(boolean expected) {
            return (namesItself && (expected || hasOwnId)) || (expected && isFailed());
        }

        @Override
        public boolean isFinished() {
            return finished;
        }

        @Override
        public boolean isUnderWay() {
            return underWay;
        }

        @Override
        public boolean isUsageFinal() {
            return usageFinal;
        }

        @Override
        public boolean isUsageWhole() {
            return figures.isWhole();
        }

        @Override
        public @Nullable TokenUsage usage() {
            return figures.toUsage();
        }
    }
}
