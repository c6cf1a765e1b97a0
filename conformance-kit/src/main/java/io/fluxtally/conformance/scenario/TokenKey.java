package io.fluxtally.conformance.scenario;

import java.util.Locale;

/** A token figure that a bill can name. Input and output are inclusive; every other figure but the total is a part of one of them. */
public enum TokenKey {
    /** All input, cached or not. */
    INPUT_TOKENS,
    /** All output, reasoning included. */
    OUTPUT_TOKENS,
    /** The whole as the provider reported it; it may exceed input + output. */
    TOTAL_TOKENS,
    /** The part of the input that was read from a cache. */
    CACHE_READ_INPUT_TOKENS,
    /** The part of the input that was written to a cache. */
    CACHE_CREATION_INPUT_TOKENS,
    /** The part of the output that is reasoning. */
    REASONING_OUTPUT_TOKENS,
    /** The part of the input that is text. */
    TEXT_INPUT_TOKENS,
    /** The part of the input that is images. */
    IMAGE_INPUT_TOKENS,
    /** The part of the input that is audio. */
    AUDIO_INPUT_TOKENS,
    /** The part of the input that is video. */
    VIDEO_INPUT_TOKENS,
    /** The part of the output that is text. */
    TEXT_OUTPUT_TOKENS,
    /** The part of the output that is images. */
    IMAGE_OUTPUT_TOKENS,
    /** The part of the output that is audio. */
    AUDIO_OUTPUT_TOKENS,
    /** The part of the output that is video. */
    VIDEO_OUTPUT_TOKENS;

    /** The word that stands for this constant in a scenario file. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
