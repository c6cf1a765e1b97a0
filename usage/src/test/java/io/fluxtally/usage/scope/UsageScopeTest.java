package io.fluxtally.usage.scope;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.util.context.Context;

class UsageScopeTest {

    private final RunScope outer = RunScope.start("outer");
    private final RunScope inner = RunScope.start("inner");

    @AfterEach
    void threadIsLeftClean() {
        boolean clean = ThreadScope.get() == null;
        ThreadScope.set(null);
        assertThat(clean).isTrue();
    }

    @Test
    @DisplayName("where neither the context nor the thread has a scope there is none")
    void none() {
        assertThat(UsageScope.current(Context.empty())).isNull();
        assertThat(UsageScope.current()).isNull();
    }

    @Test
    @DisplayName("the context's scope goes before the thread's")
    void contextBeforeThread() {
        try (var binding = outer.bind()) {
            assertThat(binding).isNotNull();
            assertThat(UsageScope.current(inner.writeTo(Context.empty()))).isSameAs(inner);
        }
    }

    @Test
    @DisplayName("where the context has none, the thread's scope counts")
    void threadWhereContextHasNone() {
        try (var binding = outer.bind()) {
            assertThat(binding).isNotNull();
            assertThat(UsageScope.current(Context.of("another", "key"))).isSameAs(outer);
            assertThat(UsageScope.current()).isSameAs(outer);
        }
    }

    @Test
    @DisplayName("a nested binding gives the thread back the scope it had before")
    void nested() {
        UsageScope.Binding first = outer.bind();
        UsageScope.Binding second = inner.bind();
        assertThat(UsageScope.current()).isSameAs(inner);

        second.close();
        assertThat(UsageScope.current()).isSameAs(outer);

        first.close();
        assertThat(UsageScope.current()).isNull();
    }

    @Test
    @DisplayName("a binding holds its own thread only")
    void otherThread() throws Exception {
        try (var binding = outer.bind()) {
            assertThat(binding).isNotNull();
            UsageScope elsewhere = Threads.call(UsageScope::current);
            assertThat(elsewhere).isNull();
        }
    }

    @Test
    @DisplayName("writing a scope leaves the rest of the context and replaces an outer scope")
    void writeTo() {
        Context context = inner.writeTo(outer.writeTo(Context.of("user", "ada")));

        assertThat(UsageScope.current(context)).isSameAs(inner);
        assertThat(context.<String>get("user")).isEqualTo("ada");
        assertThat(context.size()).isEqualTo(2);
    }

    @Test
    @DisplayName("in a chain the innermost scope counts")
    void innermost() {
        Mono<UsageScope> found = Mono.deferContextual(context -> Mono.justOrEmpty(UsageScope.current(context)));

        UsageScope innermost = outer.wrap(inner.wrap(found)).block();
        assertThat(innermost).isSameAs(inner);
    }
}
