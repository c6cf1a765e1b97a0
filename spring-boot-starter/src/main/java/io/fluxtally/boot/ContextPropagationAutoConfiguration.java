package io.fluxtally.boot;

import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Lazy;
import reactor.core.publisher.Hooks;

/**
 * Auto-configuration that lets Reactor restore thread locals on every thread, if the app asks for it here; Boot does the same for
 * {@code spring.reactor.context-propagation=auto}. It holds for the whole process, and nobody takes it back, since others may have
 * asked for it too.
 */
@AutoConfiguration
@Lazy(false)
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@ConditionalOnProperty(name = "fluxtally.context-propagation", havingValue = "auto")
public class ContextPropagationAutoConfiguration {

    ContextPropagationAutoConfiguration() {
        Hooks.enableAutomaticContextPropagation();
    }
}
