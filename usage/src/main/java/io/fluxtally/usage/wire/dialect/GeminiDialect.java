package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Gemini's {@code generateContent} and {@code streamGenerateContent}.
 *
 * <p>Each chunk carries the usage so far. A stream is one JSON array of chunks, or of server-sent events if the request
 * has {@code alt=sse}. Cached tokens are inside the prompt; what tools put into the prompt is beside
 * it, and thoughts are beside the candidates: both are added here, since input and output are inclusive.
 *
 * <p>The responses name no type. They are taken for what they are if the request went to one of the two methods.
 */
public final class GeminiDialect implements Dialect {

    private static final List<String> USAGE_FIELDS = List.of(
            "usageMetadata.promptTokenCount",
            "usageMetadata.toolUsePromptTokenCount",
            "usageMetadata.candidatesTokenCount",
            "usageMetadata.thoughtsTokenCount",
            "usageMetadata.cachedContentTokenCount",
            "usageMetadata.totalTokenCount");

    private static final int PROMPT = 0;
    private static final int TOOL_PROMPT = 1;
    private static final int CANDIDATES = 2;
    private static final int THOUGHTS = 3;
    private static final int CACHED = 4;
    private static final int TOTAL = 5;

    private static final FieldPaths PATHS = FieldPaths.of(
                    "responseId",
                    "modelVersion",
                    "error",
                    "promptFeedback.blockReason",
                    "candidates[]",
                    "candidates[].index",
                    "candidates[].finishReason")
            .and(USAGE_FIELDS)
            .reporting("usageMetadata");

    /** The dialect. */
    public GeminiDialect() {}

    @Override
    public String provider() {
        return "gemini";
    }

    @Override
    public boolean expects(RequestHead request) {
        return request.method().equals("POST")
                && (request.path().endsWith(":generateContent")
                        || request.path().endsWith(":streamGenerateContent"));
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

        private final Choices candidates = new Choices();
        private final RawFigures usage = new RawFigures(USAGE_FIELDS.size());
        private final RawFigures event = new RawFigures(USAGE_FIELDS.size());

        private boolean sawCandidates;
        private boolean blocked;
        private boolean usageFinal;

        @Override
        public void beginEvent() {
            event.clear();
        }

        @Override
        public void start(String path) {
            if (path.equals("candidates[]")) {
                sawCandidates = true;
                candidates.begin();
            } else if (path.equals("error")) {
                fail();
            }
        }

        @Override
        public void end(String path) {
            if (path.equals("candidates[]")) {
                candidates.end();
            }
        }

        @Override
        public void value(String path, JsonParser value) throws IOException {
            switch (path) {
                case "responseId" -> responseId(value.getValueAsString());
                case "modelVersion" -> model(value.getValueAsString());
                case "promptFeedback.blockReason" -> blocked |= value.getValueAsString() != null;
                case "candidates[].index" -> candidates.index(UsageFigures.tokens(value));
                case "candidates[].finishReason" -> candidates.finishReason(value.getValueAsString());
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
            if (usage.takeLater(event)) {
                usageFinal = isFinished();
            }
        }

        @Override
        public boolean recognised(boolean expected) {
            return expected && (sawCandidates || usage.get(PROMPT) >= 0 || blocked || isFailed());
        }

        @Override
        public boolean isFinished() {
            return blocked || candidates.allFinished();
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
            long input = UsageFigures.plus(usage.get(PROMPT), usage.get(TOOL_PROMPT));
            long output = UsageFigures.plus(usage.get(CANDIDATES), usage.get(THOUGHTS));
            // Counts of zero are left out of the JSON, and the total tells that this is one.
            boolean noOutput = output < 0 && input >= 0 && (blocked || input == usage.get(TOTAL));
            figures.input(input);
            figures.output(noOutput ? 0 : output);
            figures.total(usage.get(TOTAL));
            figures.part(TokenPart.CACHE_READ_INPUT, usage.get(CACHED));
            figures.part(TokenPart.REASONING_OUTPUT, usage.get(THOUGHTS));
            return figures;
        }
    }
}
