package io.fluxtally.usage.wire;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.wire.dialect.Dialect;
import io.fluxtally.usage.wire.dialect.FieldPaths;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.fluxtally.usage.wire.dialect.ResponseReading;
import org.jspecify.annotations.Nullable;

/** A dialect that works but for one method, which throws. */
public final class FailingDialect implements Dialect {

    public static final String PATH = "/failing/dialect";

    /** Where it throws. */
    public enum Method {
        PROVIDER,
        EXPECTS,
        PATHS,
        NEW_READING,
        WANTS,
        BEGIN_EVENT,
        START,
        END,
        VALUE,
        END_EVENT,
        DONE,
        RECOGNISED,
        IS_FINISHED,
        IS_USAGE_FINAL,
        USAGE
    }

    private final Method failing;

    public FailingDialect(Method failing) {
        this.failing = failing;
    }

    private void in(Method method) {
        if (method == failing) {
            throw new IllegalStateException("dialect fails in " + method);
        }
    }

    @Override
    public String provider() {
        in(Method.PROVIDER);
        return "failing";
    }

    @Override
    public boolean expects(RequestHead request) {
        in(Method.EXPECTS);
        return request.path().endsWith(PATH);
    }

    @Override
    public FieldPaths paths() {
        in(Method.PATHS);
        return FieldPaths.of("object", "usage", "usage.tokens");
    }

    @Override
    public ResponseReading newReading() {
        in(Method.NEW_READING);
        return new Reading();
    }

    private final class Reading extends ResponseReading {

        @Override
        public boolean wants(byte[] json, int length) {
            in(Method.WANTS);
            return true;
        }

        @Override
        public void beginEvent() {
            in(Method.BEGIN_EVENT);
        }

        @Override
        public void start(String path) {
            in(Method.START);
        }

        @Override
        public void end(String path) {
            in(Method.END);
        }

        @Override
        public void value(String path, JsonParser value) {
            in(Method.VALUE);
        }

        @Override
        public void endEvent() {
            in(Method.END_EVENT);
        }

        @Override
        public void done(boolean allRead) {
            in(Method.DONE);
        }

        @Override
        public boolean recognised(boolean expected) {
            in(Method.RECOGNISED);
            return expected;
        }

        @Override
        public boolean isFinished() {
            in(Method.IS_FINISHED);
            return true;
        }

        @Override
        public boolean isUsageFinal() {
            in(Method.IS_USAGE_FINAL);
            return true;
        }

        @Override
        public @Nullable TokenUsage usage() {
            in(Method.USAGE);
            return TokenUsage.of(1, 2);
        }
    }
}
