package io.fluxtally.graph;

import java.util.Map;

/**
 * Joins the chunks of one node execution to the update that it makes. Used for one subscription, by one thread at a time;
 * it should take a chunk in constant time.
 *
 * @param <T> the type of the chunks
 */
public interface ChunkJoiner<T> {

    /** Takes a chunk; returns the text that it adds, empty if none. */
    String add(T chunk);

    /** The update of the state, once all chunks are there. */
    Map<String, ?> update();

    /** A joiner of text chunks that writes the whole text under a key. */
    static ChunkJoiner<CharSequence> text(String key) {
        StringBuilder text = new StringBuilder();
        return new ChunkJoiner<>() {
            @Override
            public String add(CharSequence chunk) {
                text.append(chunk);
                return chunk.toString();
            }

            @Override
            public Map<String, ?> update() {
                return Map.of(key, text.toString());
            }
        };
    }
}
