package io.fluxtally.usage.wire;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.wire.dialect.Dialect;
import io.fluxtally.usage.wire.dialect.ResponseReading;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** Reads the usage in one JSON document that is at hand, as {@link WireTap} reads it in one that passes. */
public final class UsageDocument {

    private UsageDocument() {}

    /**
     * What the document says was used, or null if it says nothing.
     *
     * @param dialect the way it is said in
     * @param document a parser at the document's begin
     * @throws IOException if it cannot be parsed
     */
    public static @Nullable TokenUsage read(Dialect dialect, JsonParser document) throws IOException {
        ResponseReading reading = dialect.newReading();
        JsonWalk walk = new JsonWalk(dialect.paths(), reading);
        reading.beginEvent();
        JsonToken token = document.nextToken();
        while (token != null && !walk.accept(token, document)) {
            token = document.nextToken();
        }
        reading.endEvent();
        return reading.usage();
    }
}
