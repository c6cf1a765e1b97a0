package io.fluxtally.graph.scripted;

/** Where in a streamed answer its usage is; all are seen in the field. */
public enum UsageAt {
    /** On a chunk of its own behind the content, which has no generation. */
    USAGE_ONLY_CHUNK,
    /** On the last chunk with content. */
    LAST_CONTENT_CHUNK,
    /** On the last chunk with content and on a chunk of its own behind it. */
    TWO_CHUNKS,
    /** On every chunk, the output growing. */
    EVERY_CHUNK
}
