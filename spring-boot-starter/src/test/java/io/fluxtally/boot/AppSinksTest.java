package io.fluxtally.boot;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageSink;
import java.time.Instant;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.support.DefaultListableBeanFactory;

@DisplayName("The sinks of an app")
class AppSinksTest {

    private static final RequestUsage REQUEST =
            RequestUsage.builder("request", Instant.EPOCH).build();

    @Test
    @DisplayName("hear a request that comes while they are found once")
    void foundAmongRequests() throws Exception {
        int rounds = 5_000;
        AtomicInteger heard = new AtomicInteger();
        DefaultListableBeanFactory beans = new DefaultListableBeanFactory();
        beans.registerSingleton("sink", (UsageSink) request -> heard.incrementAndGet());
        AtomicInteger arrived = new AtomicInteger();
        ExecutorService executor = Executors.newSingleThreadExecutor();
        UsageRecorder[] recorders = new UsageRecorder[rounds];
        AppSinks[] sinks = new AppSinks[rounds];
        for (int i = 0; i < rounds; i++) {
            recorders[i] = UsageRecorder.withSinks();
            sinks[i] = new AppSinks(beans);
            sinks[i].listenTo(recorders[i]);
        }
        try {
            Future<?> requests = executor.submit(() -> {
                for (int i = 0; i < rounds; i++) {
                    meet(arrived, i);
                    recorders[i].book(null, REQUEST);
                }
            });
            for (int i = 0; i < rounds; i++) {
                meet(arrived, i);
                sinks[i].afterSingletonsInstantiated();
            }
            requests.get();
        } finally {
            executor.shutdownNow();
            for (AppSinks one : sinks) {
                one.destroy();
            }
        }

        assertThat(heard).hasValue(rounds);
    }

    /** A barrier would wake the two one after the other. */
    private static void meet(AtomicInteger arrived, int round) {
        arrived.incrementAndGet();
        while (arrived.get() < 2 * (round + 1)) {
            Thread.yield();
        }
    }
}
