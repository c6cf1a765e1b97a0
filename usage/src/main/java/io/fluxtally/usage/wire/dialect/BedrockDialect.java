package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Amazon Bedrock's {@code Converse} and {@code ConverseStream}. {@code InvokeModel} is not among them: its body is in the
 * dialect of the model.
 *
 * <p>A stream is binary messages whose type is outside of their JSON; its figures come once, in {@code metadata}, after
 * {@code messageStop} with the reason of the end. Tokens read from a cache or written to it are beside the input and are
 * added to it here. The id of a response is in its head, the model in the request's path, both not in the body.
 */
public final class BedrockDialect implements Dialect {

    private static final String MODEL = "/model/";
    private static final List<String> OPERATIONS = List.of("/converse", "/converse-stream");

    private static final List<String> USAGE_FIELDS = List.of(
            "usage.inputTokens",
            "usage.outputTokens",
            "usage.cacheReadInputTokens",
            "usage.cacheWriteInputTokens",
            "usage.totalTokens");

    private static final int INPUT = 0;
    private static final int OUTPUT = 1;
    private static final int CACHE_READ = 2;
    private static final int CACHE_WRITE = 3;
    private static final int TOTAL = 4;

    private static final FieldPaths PATHS = FieldPaths.of(
                    "stopReason", "trace.promptRouter.invokedModelId", "start.toolUse.toolUseId")
            .and(USAGE_FIELDS)
            .reporting("usage");

    /** The events of a stream; others may come that say nothing here. */
    private static final Set<String> EVENTS = Set.of(
            "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata");

    /** The events that say something here. */
    private static final Set<String> WANTED = Set.of("contentBlockStart", "messageStop", "metadata");

    /** The dialect. */
    public BedrockDialect() {}

    @Override
    public String provider() {
        return "bedrock";
    }

    @Override
    public boolean expects(RequestHead request) {
        return request.method().equals("POST") && requestModel(request) != null;
    }

    /** The model's id or ARN, which the path has between {@code /model/} and the operation. */
    @Override
    public @Nullable String requestModel(RequestHead request) {
        String path = request.path();
        int start = path.indexOf(MODEL) + MODEL.length();
        for (String operation : OPERATIONS) {
            int end = path.length() - operation.length();
            if (path.endsWith(operation) && start >= MODEL.length() && start < end) {
                return path.substring(start, end);
            }
        }
        return null;
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

        private final RawFigures usage = new RawFigures(USAGE_FIELDS.size());
        private final RawFigures event = new RawFigures(USAGE_FIELDS.size());

        private @Nullable String type;
        private boolean sawEvent;
        private boolean stopped;
        private boolean sawUsage;

        @Override
        public void typed(String messageType, String eventType) {
            type = eventType;
            if (messageType.equals("exception") || messageType.equals("error")) {
                fail();
            } else {
                sawEvent |= EVENTS.contains(eventType);
            }
        }

        @Override
        public boolean wants(byte[] json, int length) {
            return type == null || WANTED.contains(type);
        }

        @Override
        public void beginEvent() {
            event.clear();
        }

        @Override
        public void value(String path, JsonParser value) throws IOException {
            switch (path) {
                case "stopReason" -> stopped |= value.getValueAsString() != null;
                case "trace.promptRouter.invokedModelId" -> model(value.getValueAsString());
                case "start.toolUse.toolUseId" -> toolCall(value.getValueAsString());
                default -> {
                    int figure = USAGE_FIELDS.indexOf(path);
                    if (figure >= 0) {
                        event.set(figure, UsageFigures.tokens(value));
                    }
                }
            }
        }

        @Override
        public void endEvent() {
            sawUsage |= usage.takeLater(event);
        }

        @Override
        public boolean recognised(boolean expected) {
            return expected && (sawEvent || stopped || sawUsage || isFailed());
        }

        @Override
        public boolean isFinished() {
            return stopped || sawUsage;
        }

        /** There is one report of the usage, at the end. */
        @Override
        public boolean isUsageFinal() {
            return sawUsage;
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
            if (input >= 0) {
                input = UsageFigures.plus(input, UsageFigures.plus(usage.get(CACHE_READ), usage.get(CACHE_WRITE)));
            }
            figures.input(input);
            figures.output(usage.get(OUTPUT));
            // A total without the cached tokens would contradict the input with them.
            if (usage.get(TOTAL) >= UsageFigures.plus(input, usage.get(OUTPUT))) {
                figures.total(usage.get(TOTAL));
            }
            figures.part(TokenPart.CACHE_READ_INPUT, usage.get(CACHE_READ));
            figures.part(TokenPart.CACHE_CREATION_INPUT, usage.get(CACHE_WRITE));
            return figures;
        }
    }
}
