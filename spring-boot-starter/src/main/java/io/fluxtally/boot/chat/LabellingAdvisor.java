package io.fluxtally.boot.chat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageScope;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.client.ChatClientRequest;
import org.springframework.ai.chat.client.ChatClientResponse;
import org.springframework.ai.chat.client.advisor.api.CallAdvisor;
import org.springframework.ai.chat.client.advisor.api.CallAdvisorChain;
import org.springframework.ai.chat.client.advisor.api.StreamAdvisor;
import org.springframework.ai.chat.client.advisor.api.StreamAdvisorChain;
import org.springframework.ai.chat.memory.ChatMemory;
import org.springframework.core.Ordered;
import reactor.core.publisher.Flux;
import reactor.util.context.Context;

/**
 * Labels what is requested for a chat client with what the app tells its advisors: whose conversation it is, and for whom. It
 * says nothing of figures, and changes neither request nor response.
 */
final class LabellingAdvisor implements CallAdvisor, StreamAdvisor {

    private static final String PART = "the labels of a chat client";

    /** The advisors' names of what is said, by label. */
    private final Map<String, String> keys;

    LabellingAdvisor(Map<String, String> keys) {
        this.keys = new TreeMap<>(keys);
    }

    @Override
    public String getName() {
        return "fluxtallyLabels";
    }

    /** First, so that what other advisors ask a model is labelled too. */
    @Override
    public int getOrder() {
        return Ordered.HIGHEST_PRECEDENCE;
    }

    @Override
    public ChatClientResponse adviseCall(ChatClientRequest request, CallAdvisorChain chain) {
        UsageScope scope = labelled(UsageScope.current(), request);
        if (scope == null) {
            return chain.nextCall(request);
        }
        UsageScope.Binding binding = scope.bind();
        try (binding) {
            return chain.nextCall(request);
        }
    }

    @Override
    public Flux<ChatClientResponse> adviseStream(ChatClientRequest request, StreamAdvisorChain chain) {
        return chain.nextStream(request).contextWrite(context -> write(request, context));
    }

    private Context write(ChatClientRequest request, Context context) {
        UsageScope scope = labelled(UsageScope.current(context), request);
        return scope == null ? context : scope.writeTo(context);
    }

    /** The scope with labels, or null if there are none to add. */
    private @Nullable UsageScope labelled(@Nullable UsageScope outer, ChatClientRequest request) {
        UsageScope scope = null;
        for (Map.Entry<String, String> key : keys.entrySet()) {
            try {
                String value = identifier(key.getKey(), request.context().get(key.getValue()));
                if (value != null) {
                    scope = UsageScope.labelled(scope == null ? outer : scope, key.getKey(), value);
                }
            } catch (RuntimeException notTaken) {
                MeasuringFailures.report(PART, notTaken);
            }
        }
        return scope;
    }

    /**
     * The value as a label, or null if nothing is said. A text of the conversation would have lines, or be too long for a label.
     */
    private static @Nullable String identifier(String label, @Nullable Object value) {
        if (value == null) {
            return null;
        }
        if (!(value instanceof String || value instanceof Number || value instanceof UUID)) {
            throw new IllegalArgumentException(
                    "the value of label \"%s\" must be a String, a Number or a UUID, but is a %s"
                            .formatted(label, value.getClass().getName()));
        }
        String text = value.toString();
        if (label.equals(RequestUsage.CONVERSATION) && text.equals(ChatMemory.DEFAULT_CONVERSATION_ID)) {
            // What Spring AI calls a conversation that nobody named: one label for all of them would join strangers.
            return null;
        }
        if (text.isBlank() || text.chars().anyMatch(Character::isISOControl)) {
            throw new IllegalArgumentException(
                    "the value of label \"%s\" must be an identifier, but is blank or has control characters"
                            .formatted(label));
        }
        return text;
    }
}
