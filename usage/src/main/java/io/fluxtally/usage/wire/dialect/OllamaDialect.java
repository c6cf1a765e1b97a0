package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * Ollama's native chat and generate. A stream is lines of JSON, of which the one with {@code "done":true} has the counts;
 * there is no id and there are no parts.
 *
 * <p>The responses name no type. They are taken for what they are if the request went to one of the two endpoints.
 */
public final class OllamaDialect implements Dialect {

    private static final FieldPaths PATHS = FieldPaths.of("model", "done", "error", "prompt_eval_count", "eval_count")
            .reporting("prompt_eval_count")
            .reporting("eval_count")
            .reporting("total_duration")
            .reporting("load_duration")
            .reporting("prompt_eval_duration")
            .reporting("eval_duration");

    /** The dialect. */
    public OllamaDialect() {}

    @Override
    public String provider() {
        return "ollama";
    }

    @Override
    public boolean expects(RequestHead request) {
        return request.method().equals("POST")
                && (request.path().endsWith("/api/chat") || request.path().endsWith("/api/generate"));
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

        private final UsageFigures figures = new UsageFigures();
        private UsageFigures event = new UsageFigures();
        private boolean sawDone;
        private boolean done;

        @Override
        public void beginEvent() {
            event = new UsageFigures();
        }

        @Override
        public void value(String path, JsonParser value) throws IOException {
            switch (path) {
                case "model" -> model(value.getValueAsString());
                case "error" -> {
                    if (value.getValueAsString() != null) {
                        fail();
                    }
                }
                case "done" -> {
                    sawDone = true;
                    done |= value.currentToken() == JsonToken.VALUE_TRUE;
                }
                case "prompt_eval_count" -> event.input(UsageFigures.tokens(value));
                case "eval_count" -> event.output(UsageFigures.tokens(value));
                default -> {}
            }
        }

        @Override
        public void endEvent() {
            figures.takeLater(event);
        }

        @Override
        public boolean recognised(boolean expected) {
            return expected && (sawDone || isFailed());
        }

        @Override
        public boolean isFinished() {
            return done;
        }

        @Override
        public boolean isUsageFinal() {
            return done && !figures.isEmpty();
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
