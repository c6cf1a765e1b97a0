package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a dialect reads out of one response, event by event. A response that is one JSON document is one event.
 *
 * <p>Not safe for use by several threads at a time; the tap sees to that.
 */
public abstract class ResponseReading {

    private static final int MAX_TOOL_CALLS = 128;

    private @Nullable String responseId;
    private @Nullable String model;
    private boolean failed;

    /** Empty until the first one; few responses ask for a tool. */
    private List<String> toolCallIds = List.of();

    /** For dialects. */
    protected ResponseReading() {}

    /**
     * Whether an event can say anything new, once the response is recognised: a look at its bytes that spares parsing
     * it. It may say yes too often, never no to an event that matters.
     *
     * @param json the event, from the array's start; not to be kept
     * @param length how many bytes of the array are the event
     */
    public boolean wants(byte[] json, int length) {
        return true;
    }

    /**
     * Where an event ends that is not {@linkplain #wants wanted} and so much like an earlier one that a comparison tells both:
     * that spares looking for its end. It may say too often that there is none.
     *
     * @param bytes the event, and maybe more behind it; not to be kept
     * @param from where it begins
     * @param to where the bytes end
     * @return the index behind the event, which has no line break, or -1
     */
    public int skip(byte[] bytes, int from, int to) {
        return -1;
    }

    /**
     * Where an event ends that, once it is read, leaves nothing of the one before it, so that that one need not be read at
     * all. It may say too often that there is none. There was nothing wanted between the two, and the earlier one is known to
     * be JSON, and has no line break if the later one has none.
     *
     * @param earlier the event before, from the array's start; not to be kept
     * @param earlierLength how many bytes of the array are that event
     * @param bytes the event after it, and maybe more behind it; not to be kept
     * @param from where the event after it begins
     * @param to where the bytes end
     * @return the index behind the event after it, which is wanted and JSON too and has no line break that the earlier one has
     *     not, or -1
     */
    public int skipSuperseding(byte[] earlier, int earlierLength, byte[] bytes, int from, int to) {
        return -1;
    }

    /**
     * The next event's type, where the framing of the stream names one and its JSON does not. It is called before the event
     * is {@linkplain #wants wanted} or {@linkplain #beginEvent() begins}.
     *
     * @param messageType {@code event}, {@code exception} or {@code error}; empty if it is not said
     * @param type which one; empty if it is not said
     */
    public void typed(String messageType, String type) {}

    /** An event begins; one before it may have broken off anywhere. */
    public void beginEvent() {}

    /** A wanted object or array begins. */
    public void start(String path) throws IOException {}

    /** A wanted object or array ended. */
    public void end(String path) throws IOException {}

    /** The parser stands at a wanted value: a string, number, boolean or null. */
    public abstract void value(String path, JsonParser value) throws IOException;

    /** An event was read to its end. */
    public void endEvent() {}

    /**
     * The stream's mark of its end was read, {@code [DONE]}.
     *
     * @param allRead whether all events before it could be read; if not, the last figure may be among those
     */
    public void done(boolean allRead) {}

    /**
     * Whether what was read so far is a response of this family.
     *
     * @param expected whether the request went to an endpoint of the family
     */
    public abstract boolean recognised(boolean expected);

    /** Whether the provider's mark of a finished response was read. */
    public abstract boolean isFinished();

    /**
     * Whether the provider says that the response goes on elsewhere, so that not even a whole document finishes it or makes
     * its figures final.
     */
    public boolean isUnderWay() {
        return false;
    }

    /** Whether the figures are final: read with the mark of a finished response, or after it. */
    public abstract boolean isUsageFinal();

    /**
     * Whether nothing can follow that counts, so that a response which nobody else reads need not be read on: it is finished,
     * and its figures are final. Not so where only the end of the body tells that no other figure corrects the last.
     */
    public boolean isSettled() {
        return isFinished() && isUsageFinal();
    }

    /** Whether both input and output were read; a usage that lacks one is a lower bound, however final it is. */
    public boolean isUsageWhole() {
        return true;
    }

    /** The usage of the response as far as it was read, or null if there was none yet. */
    public abstract @Nullable TokenUsage usage();

    /** Takes the provider's id of the response; one that is empty or absent changes nothing. */
    protected final void responseId(@Nullable String id) {
        responseId = id == null || id.isEmpty() ? responseId : id;
    }

    /** Takes the name of the model that answers; one that is empty or absent changes nothing. */
    protected final void model(@Nullable String name) {
        model = name == null || name.isEmpty() ? model : name;
    }

    /** Takes the provider's id of a tool call that the response asks for; one that is empty or absent changes nothing. */
    protected final void toolCall(@Nullable String id) {
        if (id != null && !id.isEmpty() && toolCallIds.size() < MAX_TOOL_CALLS) {
            List<String> ids = new ArrayList<>(toolCallIds);
            ids.add(id);
            toolCallIds = List.copyOf(ids);
        }
    }

    /** Takes note that the provider reported an error inside its response. */
    protected final void fail() {
        failed = true;
    }

    /** The provider's id of the response, or null. */
    public final @Nullable String responseId() {
        return responseId;
    }

    /** The model that answers by its own account, or null. */
    public final @Nullable String model() {
        return model;
    }

    /** The provider's ids of the tool calls that the response asks for, the first 128; empty if the dialect reads none. */
    public final List<String> toolCallIds() {
        return toolCallIds;
    }

    /** Whether the provider reported an error inside its response. */
    public final boolean isFailed() {
        return failed;
    }
}
