package io.fluxtally.usage.observation;

import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.UsageSink;
import io.fluxtally.usage.wire.RequestListener;
import io.micrometer.observation.ObservationRegistry;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.prompt.ChatOptions;
import reactor.util.context.ContextView;

/**
 * Finds Spring AI's observation of the model that a request is made for, and keeps there what the request comes to, for
 * {@link ChatUsageObservationFilter}: {@code WireTap.builder().listener(new ChatObservationListener(registry))}.
 *
 * <p>The observation is looked for in the Reactor context of the request and, where that has none, on its thread. There the
 * HTTP client's own observation comes first; those around it are followed up to the innermost one of a model or a tool. It is
 * found as well where the HTTP client is not observed. A request of an embedding or an image model, or of a tool, belongs to
 * no chat model's observation. The observation also tells which model was asked for, where nothing else does.
 *
 * <p>Safe for use by any number of threads.
 */
public final class ChatObservationListener implements RequestListener {

    private final ObservationRegistry registry;

    /** A listener that looks on a thread for observations of the given registry. */
    public ChatObservationListener(ObservationRegistry registry) {
        this.registry = Objects.requireNonNull(registry, "registry");
    }

    @Override
    public @Nullable UsageSink onRequest(Iterable<? extends ContextView> contexts, ModelCall.OpenRequest request) {
        ChatModelObservationContext chat = OpenObservations.chat(contexts, registry);
        if (chat == null) {
            return null;
        }
        ChatOptions options = chat.getRequest().getOptions();
        if (options != null && options.getModel() != null) {
            // DashScope's responses do not name their model, and its requests only in their body.
            request.requestModel(options.getModel());
        }
        return ObservedRequests.of(chat).begun(request);
    }
}
