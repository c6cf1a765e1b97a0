package io.fluxtally.alibaba;

/** Where in a streamed answer its usage is; all are seen in the field. */
enum UsageAt {
    /** On a chunk of its own behind the content. */
    USAGE_ONLY("usage-only last"),
    /** On the last chunk with content. */
    LAST_CONTENT("last content"),
    /** On both. */
    TWICE("twice"),
    /** On every chunk, growing. */
    RUNNING("running");

    private final String words;

    UsageAt(String words) {
        this.words = words;
    }

    String words() {
        return words;
    }
}
