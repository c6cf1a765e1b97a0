package io.fluxtally.usage.scope;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.fluxtally.usage.scope.propagation.UsageScopeThreadLocalAccessor;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class ThreadScopeTest {

    private static final int ELEMENTS = 10_000;

    private final UsageScopeThreadLocalAccessor accessor = new UsageScopeThreadLocalAccessor();
    private final RunScope run = RunScope.start("run");

    /** As Micrometer restores thread locals around an element: looks, binds, and unbinds. */
    private void restoreAroundElements() {
        for (int element = 0; element < ELEMENTS; element++) {
            assertThatNothingIsBound(accessor.getValue());
            accessor.setValue(run);
            accessor.setValue();
        }
    }

    /** An assertion of AssertJ's would allocate. */
    private static void assertThatNothingIsBound(Object scope) {
        if (scope != null) {
            throw new AssertionError("bound is " + scope);
        }
    }

    @Test
    @DisplayName("to bind a scope around each element of a stream leaves no garbage on the thread, and no scope")
    void leavesNoGarbage() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        restoreAroundElements();

        long before = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
        restoreAroundElements();
        long allocated = threads.getThreadAllocatedBytes(Thread.currentThread().getId()) - before;

        assertThat(allocated).isLessThan(ELEMENTS);
        assertThat(ThreadScope.get()).isNull();
    }
}
