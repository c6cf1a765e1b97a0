package io.fluxtally.usage;

/**
 * A part of a response's input or output tokens that some providers report apart from the inclusive count.
 *
 * <p>Parts overlap: cached text is in {@link #CACHE_READ_INPUT} and in {@link #TEXT_INPUT}. Never add parts to the count
 * they are part of.
 */
public enum TokenPart {
    /** Input that the provider read from its prompt cache. */
    CACHE_READ_INPUT(Side.INPUT, "cache_read_input_tokens"),
    /** Input that the provider wrote to its prompt cache. */
    CACHE_CREATION_INPUT(Side.INPUT, "cache_creation_input_tokens"),
    /** Output that the model spent on reasoning, shown or not. */
    REASONING_OUTPUT(Side.OUTPUT, "reasoning_output_tokens"),
    /** Input that was text. */
    TEXT_INPUT(Side.INPUT, "text_input_tokens"),
    /** Input that was images. */
    IMAGE_INPUT(Side.INPUT, "image_input_tokens"),
    /** Input that was audio. */
    AUDIO_INPUT(Side.INPUT, "audio_input_tokens"),
    /** Input that was video. */
    VIDEO_INPUT(Side.INPUT, "video_input_tokens"),
    /** Output that was text. */
    TEXT_OUTPUT(Side.OUTPUT, "text_output_tokens"),
    /** Output that was images. */
    IMAGE_OUTPUT(Side.OUTPUT, "image_output_tokens"),
    /** Output that was audio. */
    AUDIO_OUTPUT(Side.OUTPUT, "audio_output_tokens"),
    /** Output that was video. */
    VIDEO_OUTPUT(Side.OUTPUT, "video_output_tokens");

    /** The inclusive count that a part belongs to. */
    public enum Side {
        /** The tokens sent to the model. */
        INPUT,
        /** The tokens the model produced. */
        OUTPUT
    }

    static final int COUNT = values().length;

    private final Side side;
    private final String key;

    TokenPart(Side side, String key) {
        this.side = side;
        this.key = key;
    }

    /** The inclusive count that this is a part of. */
    public Side side() {
        return side;
    }

    /** The part's name in Java, such as {@code cacheReadInputTokens}. */
    String property() {
        StringBuilder name = new StringBuilder(key);
        for (int i = name.indexOf("_"); i >= 0; i = name.indexOf("_")) {
            name.deleteCharAt(i);
            name.setCharAt(i, Character.toUpperCase(name.charAt(i)));
        }
        return name.toString();
    }

    /** The part's name in JSON, YAML and messages, such as {@code cache_read_input_tokens}. */
    public String key() {
        return key;
    }
}
