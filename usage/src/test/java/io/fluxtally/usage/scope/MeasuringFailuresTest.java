package io.fluxtally.usage.scope;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.tuple;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class MeasuringFailuresTest {

    @Test
    @DisplayName("T22: every failure is counted")
    void counts() {
        long before = MeasuringFailures.count();

        MeasuringFailures.report("a test", new IllegalStateException("one"));
        MeasuringFailures.report("a test", new IllegalStateException("two"));
        MeasuringFailures.report("a test", new AssertionError("three"));

        assertThat(MeasuringFailures.count() - before).isEqualTo(3);
    }

    @Test
    @DisplayName("an error that the JVM cannot go on with is thrown on and not counted")
    void fatal() {
        long before = MeasuringFailures.count();
        OutOfMemoryError fatal = new OutOfMemoryError("not really");

        assertThatExceptionOfType(OutOfMemoryError.class)
                .isThrownBy(() -> MeasuringFailures.report("a test", fatal))
                .isSameAs(fatal);

        assertThat(MeasuringFailures.count()).isEqualTo(before);
    }

    @Test
    @DisplayName("a stack overflow is a failure like any other, since the stack is free again where it is caught")
    void stackOverflow() {
        long before = MeasuringFailures.count();

        assertThatCode(() -> MeasuringFailures.report("a test", new StackOverflowError()))
                .doesNotThrowAnyException();

        assertThat(MeasuringFailures.count() - before).isEqualTo(1);
    }

    @Test
    @DisplayName("T22: a failure is logged with its cause, and once per kind: the part and the type of the error")
    void loggedOncePerKind() throws Exception {
        IsolatedFailures failures = new IsolatedFailures();
        IllegalStateException first = new IllegalStateException("first");
        failures.report("the tap", first);
        failures.report("the tap", new IllegalStateException("second"));
        failures.report("the sink", new IllegalStateException("another part"));
        failures.report("the tap", new IllegalArgumentException("another type"));
        failures.report("the tap", new IllegalStateException("third"));

        assertThat(failures.logged())
                .extracting(
                        IsolatedFailures.Event::level,
                        IsolatedFailures.Event::part,
                        e -> e.error().getMessage())
                .containsExactly(
                        tuple("WARN", "the tap", "first"),
                        tuple("WARN", "the sink", "another part"),
                        tuple("WARN", "the tap", "another type"));
        assertThat(failures.logged().get(0).error()).isSameAs(first);
        assertThat(failures.count()).isEqualTo(5);
    }

    @Test
    @DisplayName("T22: a flood of kinds is counted in full, while the log stays bounded")
    void boundedLog() throws Exception {
        IsolatedFailures failures = new IsolatedFailures();
        for (int i = 0; i < 1_000; i++) {
            failures.report("part " + i, new IllegalStateException());
        }

        assertThat(failures.logged()).hasSize(256);
        assertThat(failures.count()).isEqualTo(1_000);
    }
}
