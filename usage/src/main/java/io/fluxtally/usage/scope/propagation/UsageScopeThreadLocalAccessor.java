package io.fluxtally.usage.scope.propagation;

import io.fluxtally.usage.scope.ThreadScope;
import io.fluxtally.usage.scope.UsageScope;
import io.micrometer.context.ThreadLocalAccessor;
import org.jspecify.annotations.Nullable;

/**
 * Carries the scope between the Reactor {@code Context} and threads for {@code io.micrometer:context-propagation}, which
 * finds it by service loader. Without that library on the class path it is never loaded.
 */
public final class UsageScopeThreadLocalAccessor implements ThreadLocalAccessor<UsageScope> {

    /** For the service loader. */
    public UsageScopeThreadLocalAccessor() {}

    @Override
    public Object key() {
        return UsageScope.KEY;
    }

    /** The current thread's scope, or null. */
    @Override
    public @Nullable UsageScope getValue() {
        return ThreadScope.get();
    }

    @Override
    public void setValue(UsageScope scope) {
        ThreadScope.set(scope);
    }

    /** Takes the scope off the current thread. */
    @Override
    public void setValue() {
        ThreadScope.set(null);
    }
}
