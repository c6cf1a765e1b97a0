package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * DashScope's native text and multimodal generation.
 *
 * <p>Each frame of a stream carries the usage so far, beside {@code output}; the body just ends, there is no
 * {@code [DONE]}. Cached tokens are inside the input, reasoning inside the output. With more than one choice, the output
 * tokens of a frame are those of its own choice only (DashScope's Java and Python SDKs, the streaming of {@code n}): the
 * response's output is the sum over the choices' last frames. Speech recognition reports details only; there the counts
 * are the sums of their details.
 *
 * <p>The responses name no model and no type. They are taken for what they are if the request went to a generation
 * endpoint, or had DashScope's own header for streams.
 */
public final class DashScopeDialect implements Dialect {

    /** Each part by the field that says it. */
    private static final Map<String, TokenPart> PARTS = Map.ofEntries(
            Map.entry("usage.prompt_tokens_details.cached_tokens", TokenPart.CACHE_READ_INPUT),
            Map.entry("usage.prompt_tokens_details.cache_creation_input_tokens", TokenPart.CACHE_CREATION_INPUT),
            Map.entry("usage.input_tokens_details.text_tokens", TokenPart.TEXT_INPUT),
            Map.entry("usage.input_tokens_details.image_tokens", TokenPart.IMAGE_INPUT),
            Map.entry("usage.input_tokens_details.audio_tokens", TokenPart.AUDIO_INPUT),
            Map.entry("usage.input_tokens_details.video_tokens", TokenPart.VIDEO_INPUT),
            Map.entry("usage.output_tokens_details.reasoning_tokens", TokenPart.REASONING_OUTPUT),
            Map.entry("usage.output_tokens_details.text_tokens", TokenPart.TEXT_OUTPUT),
            Map.entry("usage.output_tokens_details.image_tokens", TokenPart.IMAGE_OUTPUT),
            Map.entry("usage.output_tokens_details.audio_tokens", TokenPart.AUDIO_OUTPUT),
            Map.entry("usage.output_tokens_details.video_tokens", TokenPart.VIDEO_OUTPUT));

    /** Older fields, which count where the newer ones above are not there. */
    private static final Map<String, TokenPart> OLDER_PARTS = Map.of(
            "usage.cached_tokens", TokenPart.CACHE_READ_INPUT,
            "usage.input_tokens_details.cached_tokens", TokenPart.CACHE_READ_INPUT,
            "usage.image_tokens", TokenPart.IMAGE_INPUT,
            "usage.audio_tokens", TokenPart.AUDIO_INPUT,
            "usage.video_tokens", TokenPart.VIDEO_INPUT);

    /** Cache writes by how long they live: together they are the cache creation, where that is not said itself. */
    private static final Set<String> CACHE_WRITES = Set.of(
            "usage.prompt_tokens_details.cache_creation.ephemeral_5m_input_tokens",
            "usage.prompt_tokens_details.cache_creation.ephemeral_1h_input_tokens");

    private static final FieldPaths PATHS = FieldPaths.of(
                    "request_id",
                    "code",
                    "output",
                    "output.finish_reason",
                    "output.choices[]",
                    "output.choices[].index",
                    "output.choices[].finish_reason",
                    "usage",
                    "usage.input_tokens",
                    "usage.output_tokens",
                    "usage.total_tokens")
            .and(PARTS.keySet())
            .and(OLDER_PARTS.keySet())
            .and(CACHE_WRITES)
            .reporting("usage");

    /** The dialect. */
    public DashScopeDialect() {}

    @Override
    public String provider() {
        return "dashscope";
    }

    @Override
    public boolean expects(RequestHead request) {
        return request.method().equals("POST")
                && (request.hasHeader().test("X-DashScope-SSE")
                        || (request.path().contains("/services/aigc/")
                                && request.path().endsWith("/generation")));
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

        private static final int NO_CHOICE = -1;

        private final Choices choices = new Choices();
        private final Map<Integer, UsageFigures> byChoice = new TreeMap<>();

        /** What a frame without a choice says of the whole response, until a frame with one follows. */
        private @Nullable UsageFigures whole;

        private boolean sawOutput;
        private boolean sawError;
        private boolean finished;
        private boolean usageFinal;

        private int frameChoice = NO_CHOICE;
        private UsageFigures frame = new UsageFigures();
        private long cacheWritten = -1;

        /** Each frame has all figures so far, and but for those and the text most frames are the same. */
        @Override
        public int skipSuperseding(byte[] earlier, int earlierLength, byte[] bytes, int from, int to) {
            return SimilarEvents.skipDifferingInTextAndTokens(earlier, earlierLength, bytes, from, to);
        }

        @Override
        public void beginEvent() {
            frame = new UsageFigures();
            frameChoice = NO_CHOICE;
            cacheWritten = -1;
        }

        @Override
        public void start(String path) {
            switch (path) {
                case "output" -> sawOutput = true;
                case "output.choices[]" -> choices.begin();
                default -> {}
            }
        }

        @Override
        public void end(String path) {
            switch (path) {
                case "output.choices[]" -> frameChoice = choices.end();
                case "usage" -> {
                    frame.partIfAbsent(TokenPart.CACHE_CREATION_INPUT, cacheWritten);
                    frame.countFromModalities();
                }
                default -> {}
            }
        }

        @Override
        public void value(String path, JsonParser value) throws IOException {
            switch (path) {
                case "request_id" -> responseId(value.getValueAsString());
                case "code" -> {
                    if (!value.getValueAsString("").isEmpty()) {
                        sawError = true;
                        fail();
                    }
                }
                case "output.finish_reason" -> finished |= Choices.isFinish(value.getValueAsString());
                case "output.choices[].index" -> choices.index(UsageFigures.tokens(value));
                case "output.choices[].finish_reason" -> choices.finishReason(value.getValueAsString());
                default -> figure(path, UsageFigures.tokens(value));
            }
        }

        private void figure(String path, long tokens) {
            TokenPart part = PARTS.get(path);
            TokenPart older = OLDER_PARTS.get(path);
            if (part != null) {
                frame.part(part, tokens);
            } else if (older != null) {
                frame.partIfAbsent(older, tokens);
            } else if (CACHE_WRITES.contains(path)) {
                cacheWritten = tokens < 0 ? cacheWritten : Math.max(cacheWritten, 0) + tokens;
            } else {
                switch (path) {
                    case "usage.input_tokens" -> frame.input(tokens);
                    case "usage.output_tokens" -> frame.output(tokens);
                    case "usage.total_tokens" -> frame.total(tokens);
                    default -> {}
                }
            }
        }

        @Override
        public void endEvent() {
            if (!frame.isEmpty()) {
                if (frameChoice == NO_CHOICE && byChoice.size() > 1) {
                    whole = frame;
                } else {
                    whole = null;
                    byChoice.computeIfAbsent(Math.max(frameChoice, 0), index -> new UsageFigures())
                            .takeLater(frame);
                }
                usageFinal = isFinished();
            }
        }

        @Override
        public boolean recognised(boolean expected) {
            return expected && (sawOutput || sawError || !byChoice.isEmpty());
        }

        @Override
        public boolean isFinished() {
            return choices.isEmpty() ? finished : choices.allFinished();
        }

        @Override
        public boolean isUsageFinal() {
            return usageFinal;
        }

        /** Frames with a greater figure were recorded after the one with the reason for the end. */
        @Override
        public boolean isSettled() {
            return false;
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
            if (whole != null) {
                return whole;
            }
            UsageFigures sum = new UsageFigures();
            int added = 0;
            for (UsageFigures figures : byChoice.values()) {
                if (added++ == 0) {
                    sum.takeLater(figures);
                } else {
                    sum.addOutput(figures);
                }
            }
            return sum;
        }
    }
}
