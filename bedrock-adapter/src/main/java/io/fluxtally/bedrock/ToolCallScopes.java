package io.fluxtally.bedrock;

import io.fluxtally.usage.scope.UsageScope;
import java.lang.ref.WeakReference;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.core.SdkRequest;
import software.amazon.awssdk.services.bedrockruntime.model.ContentBlock;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseRequest;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseStreamRequest;
import software.amazon.awssdk.services.bedrockruntime.model.Message;

/**
 * The scopes of responses that ask for tools, by the ids of the tool calls, which Bedrock makes unique: a request whose
 * last message brings the results is the next round of the same call. Spring AI sends it on another thread, where nothing
 * else tells whose it is.
 *
 * <p>A scope is held weakly, and no longer than it takes to answer; of tool calls that nobody answers the latest are held.
 * Safe for use by any number of threads.
 */
final class ToolCallScopes {

    private static final int MAX_HELD = 4096;

    private final Map<String, WeakReference<UsageScope>> scopes = new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, WeakReference<UsageScope>> eldest) {
            return size() > MAX_HELD;
        }
    };

    /** Takes the ids of tool calls that a response in the given scope asks for. */
    void remember(List<String> ids, @Nullable UsageScope scope) {
        if (scope == null) {
            return;
        }
        WeakReference<UsageScope> reference = new WeakReference<>(scope);
        synchronized (scopes) {
            ids.forEach(id -> scopes.put(id, reference));
        }
    }

    /** The scope of the response whose tool calls a request answers, or null. */
    @Nullable
    UsageScope scopeOf(SdkRequest request) {
        List<Message> messages = messagesOf(request);
        if (messages.isEmpty()) {
            return null;
        }
        UsageScope found = null;
        for (ContentBlock block : messages.get(messages.size() - 1).content()) {
            String id = block.toolResult() == null ? null : block.toolResult().toolUseId();
            WeakReference<UsageScope> reference = id == null ? null : forget(id);
            UsageScope scope = reference == null ? null : reference.get();
            found = scope != null ? scope : found;
        }
        return found;
    }

    private static List<Message> messagesOf(SdkRequest request) {
        if (request instanceof ConverseStreamRequest stream) {
            return stream.messages();
        }
        return request instanceof ConverseRequest call ? call.messages() : List.of();
    }

    private @Nullable WeakReference<UsageScope> forget(String id) {
        synchronized (scopes) {
            return scopes.remove(id);
        }
    }
}
