package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * OpenAI's chat completions, and what is compatible with them: DashScope's compatible mode, DeepSeek, vLLM and others.
 *
 * <p>The usage comes on a chunk of its own after the last choice (OpenAI, if the request asks for it), on the chunk with
 * the finish reason (DeepSeek, Zhipu, Mistral; Groq, which may write it inside {@code x_groq} alone), or on every chunk
 * (vLLM); the last counts. Cached tokens are inside the input, reasoning inside the output; xAI's reasoning is beside it,
 * as its total tells, and is added. A stream ends with {@code [DONE]}; clients cancel there, which is its normal end.
 *
 * <p>A body is taken for a response of this family if its {@code object} says so, or if it has {@code choices} and the
 * request went to a chat completions endpoint.
 */
public final class OpenAiDialect implements Dialect {

    /** What an event has to have one of to say anything new. */
    private static final JsonBytes.Fields WANTED = new JsonBytes.Fields(
            JsonBytes.Field.of("usage"),
            JsonBytes.Field.of("finish_reason"),
            JsonBytes.Field.of("error"),
            // Another choice than the first: the response is not finished before that one is.
            new JsonBytes.Field(JsonBytes.quoted("index"), '0'));

    private static final Set<String> OBJECTS = Set.of("chat.completion", "chat.completion.chunk");

    private static final Map<String, TokenPart> PARTS = Map.of(
            "usage.prompt_tokens_details.cached_tokens", TokenPart.CACHE_READ_INPUT,
            "usage.prompt_tokens_details.cache_creation_input_tokens", TokenPart.CACHE_CREATION_INPUT,
            "usage.prompt_tokens_details.audio_tokens", TokenPart.AUDIO_INPUT,
            "usage.prompt_tokens_details.text_tokens", TokenPart.TEXT_INPUT,
            "usage.prompt_tokens_details.image_tokens", TokenPart.IMAGE_INPUT,
            "usage.completion_tokens_details.reasoning_tokens", TokenPart.REASONING_OUTPUT,
            "usage.completion_tokens_details.audio_tokens", TokenPart.AUDIO_OUTPUT,
            "usage.completion_tokens_details.text_tokens", TokenPart.TEXT_OUTPUT,
            "usage.completion_tokens_details.image_tokens", TokenPart.IMAGE_OUTPUT);

    /** Other names of a part, which count where the ones above are not there. */
    private static final Map<String, TokenPart> OTHER_PARTS = Map.of(
            "usage.prompt_tokens_details.cache_write_tokens", TokenPart.CACHE_CREATION_INPUT,
            "usage.prompt_cache_hit_tokens", TokenPart.CACHE_READ_INPUT,
            "usage.num_cached_tokens", TokenPart.CACHE_READ_INPUT);

    /** The counts of a usage, here and in Groq's own field. */
    private static final List<String> COUNTS = List.of(
            "usage.prompt_tokens",
            "usage.completion_tokens",
            "usage.total_tokens",
            "usage.prompt_tokens_details.cached_tokens",
            "usage.completion_tokens_details.reasoning_tokens");

    private static final String GROQ = "x_groq.";

    private static final FieldPaths PATHS = FieldPaths.of(
                    "id",
                    "object",
                    "model",
                    "error",
                    "choices",
                    "choices[]",
                    "choices[].index",
                    "choices[].finish_reason")
            .and(COUNTS)
            .and(PARTS.keySet())
            .and(OTHER_PARTS.keySet())
            .and(COUNTS.stream().map(GROQ::concat).toList())
            .reporting("usage")
            .reporting("x_groq.usage");

    /** The dialect. */
    public OpenAiDialect() {}

    @Override
    public String provider() {
        return "openai";
    }

    @Override
    public boolean expects(RequestHead request) {
        return request.method().equals("POST") && request.path().endsWith("/chat/completions");
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

        private final WantedEvents wantedEvents = new WantedEvents(WANTED);
        private final Choices choices = new Choices();
        private final UsageFigures figures = new UsageFigures();

        private boolean namesItself;
        private boolean sawChoices;
        private boolean choiceInEvent;
        private boolean sawError;
        private boolean done;
        private boolean usageFinal;
        private UsageFigures event = new UsageFigures();

        /** What Groq's own field says in this event, which counts if there is nothing else. */
        private UsageFigures groq = new UsageFigures();

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
            choiceInEvent = false;
            event = new UsageFigures();
            groq = new UsageFigures();
        }

        @Override
        public void start(String path) {
            switch (path) {
                case "choices" -> sawChoices = true;
                case "choices[]" -> {
                    choiceInEvent = true;
                    choices.begin();
                }
                case "error" -> error();
                default -> {}
            }
        }

        @Override
        public void end(String path) {
            if (path.equals("choices[]")) {
                choices.end();
            }
        }

        @Override
        public void value(String path, JsonParser value) throws IOException {
            switch (path) {
                case "id" -> responseId(value.getValueAsString());
                case "model" -> model(value.getValueAsString());
                case "object" -> namesItself |= OBJECTS.contains(value.getValueAsString(""));
                case "choices" -> sawChoices = true;
                case "error" -> {
                    if (value.currentToken() == JsonToken.VALUE_STRING) {
                        error();
                    }
                }
                case "choices[].index" -> choices.index(UsageFigures.tokens(value));
                case "choices[].finish_reason" -> choices.finishReason(value.getValueAsString());
                default -> {
                    boolean isGroq = path.startsWith(GROQ);
                    figure(
                            isGroq ? groq : event,
                            isGroq ? path.substring(GROQ.length()) : path,
                            UsageFigures.tokens(value));
                }
            }
        }

        private void error() {
            sawError = true;
            fail();
        }

        private static void figure(UsageFigures figures, String path, long tokens) {
            switch (path) {
                case "usage.prompt_tokens" -> figures.input(tokens);
                case "usage.completion_tokens" -> figures.output(tokens);
                case "usage.total_tokens" -> figures.total(tokens);
                default -> {
                    TokenPart part = PARTS.get(path);
                    TokenPart other = OTHER_PARTS.get(path);
                    if (part != null) {
                        figures.part(part, tokens);
                    } else if (other != null) {
                        figures.partIfAbsent(other, tokens);
                    }
                }
            }
        }

        @Override
        public void endEvent() {
            if (event.isEmpty()) {
                event.takeLater(groq);
            }
            if (!event.isEmpty()) {
                event.addReasoningBesideOutput();
                figures.takeLater(event);
                // A chunk of usage alone comes after all choices, whether they gave a reason for their end or not.
                usageFinal = choices.allFinished() || (!choiceInEvent && !choices.isEmpty());
            }
        }

        @Override
        public void done(boolean allRead) {
            done = true;
            // After an error there is a [DONE] too (vLLM), and the figure is still the running one.
            usageFinal |= !figures.isEmpty() && allRead && !sawError;
        }

        @Override
        public boolean recognised(boolean expected) {
            return namesItself || (expected && (sawChoices || sawError));
        }

        @Override
        public boolean isFinished() {
            return done || choices.allFinished();
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
