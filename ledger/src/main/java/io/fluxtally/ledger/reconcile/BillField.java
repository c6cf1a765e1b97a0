package io.fluxtally.ledger.reconcile;

import io.fluxtally.usage.TokenPart;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a line of a bill can state: which requests it is about, and figures. Counts of tokens are as {@link TokenPart} has them. */
public enum BillField {
    /** The provider's id of the response. */
    ID("id", "response_id"),
    /** The model. */
    MODEL("model", "model"),
    /** When the request was made or billed, or when the time that the line is about begins. */
    TIME("time", "time"),
    /** Which figure the quantity of the line is, where a bill has a line for each. */
    KIND("kind", "kind"),
    /** The quantity of a line that says its kind. */
    QUANTITY("quantity", "quantity"),
    /** The unit that the counts of tokens of the line are in. */
    UNIT("unit", "unit"),
    /** How many requests the line is about. */
    REQUESTS("requests", "requests"),
    /** Inclusive input tokens. */
    INPUT("input", "input_tokens"),
    /** Inclusive output tokens. */
    OUTPUT("output", "output_tokens"),
    /** The total. */
    TOTAL("total", "total_tokens"),
    /** {@link TokenPart#CACHE_READ_INPUT}. */
    CACHE_READ_INPUT(TokenPart.CACHE_READ_INPUT),
    /** {@link TokenPart#CACHE_CREATION_INPUT}. */
    CACHE_CREATION_INPUT(TokenPart.CACHE_CREATION_INPUT),
    /** {@link TokenPart#REASONING_OUTPUT}. */
    REASONING_OUTPUT(TokenPart.REASONING_OUTPUT),
    /** {@link TokenPart#TEXT_INPUT}. */
    TEXT_INPUT(TokenPart.TEXT_INPUT),
    /** {@link TokenPart#IMAGE_INPUT}. */
    IMAGE_INPUT(TokenPart.IMAGE_INPUT),
    /** {@link TokenPart#AUDIO_INPUT}. */
    AUDIO_INPUT(TokenPart.AUDIO_INPUT),
    /** {@link TokenPart#VIDEO_INPUT}. */
    VIDEO_INPUT(TokenPart.VIDEO_INPUT),
    /** {@link TokenPart#TEXT_OUTPUT}. */
    TEXT_OUTPUT(TokenPart.TEXT_OUTPUT),
    /** {@link TokenPart#IMAGE_OUTPUT}. */
    IMAGE_OUTPUT(TokenPart.IMAGE_OUTPUT),
    /** {@link TokenPart#AUDIO_OUTPUT}. */
    AUDIO_OUTPUT(TokenPart.AUDIO_OUTPUT),
    /** {@link TokenPart#VIDEO_OUTPUT}. */
    VIDEO_OUTPUT(TokenPart.VIDEO_OUTPUT);

    /** The figures, in their order: {@link #REQUESTS}, {@link #INPUT}, {@link #OUTPUT}, {@link #TOTAL}, and the parts. */
    public static final List<BillField> FIGURES =
            Arrays.stream(values()).filter(BillField::isFigure).toList();

    /** How many figures there are. */
    static final int COUNT = FIGURES.size();

    private final String word;
    private final String key;
    private final @Nullable TokenPart part;

    BillField(String word, String key) {
        this.word = word;
        this.key = key;
        this.part = null;
    }

    BillField(TokenPart part) {
        this.key = part.key();
        this.word = key.substring(0, key.length() - "_tokens".length());
        this.part = part;
    }

    /** The word in options and messages, such as {@code input} and {@code cache_read_input}. */
    public String word() {
        return word;
    }

    /** The name in JSON, such as {@code input_tokens} and {@code cache_read_input_tokens}. */
    public String key() {
        return key;
    }

    /** Whether it is a figure to be compared and added up. */
    public boolean isFigure() {
        return ordinal() >= REQUESTS.ordinal();
    }

    /** The part that it is, or null. */
    @Nullable
    TokenPart part() {
        return part;
    }

    /** The place among {@link #FIGURES}. */
    int index() {
        return ordinal() - REQUESTS.ordinal();
    }

    /** The words of all fields. */
    public static List<String> words() {
        return Arrays.stream(values()).map(BillField::word).toList();
    }

    /** The field of a word, or null. */
    public static @Nullable BillField ofWord(String word) {
        return Arrays.stream(values())
                .filter(field -> field.word.equals(word))
                .findFirst()
                .orElse(null);
    }
}
