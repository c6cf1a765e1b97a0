package io.fluxtally.bedrock;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.exception.SdkClientException;

class TappedExecutionTest {

    private final RunScope run = RunScope.start();

    private void endsWith(Throwable error) {
        WireTap tap = WireTap.builder().recorder(UsageRecorder.withSinks()).build();
        TappedExecution execution = new TappedExecution(this, run);
        execution.sends(tap.open(new RequestHead("POST", "/model/m/converse", name -> false), run));
        execution.end(error);
    }

    @Test
    @DisplayName("a try that the SDK's pool had no connection for in time is not booked")
    void noConnectionInTime() {
        endsWith(SdkClientException.create(
                "Unable to execute HTTP request",
                new Throwable("Acquire operation took longer than the configured maximum time. This indicates ...")));

        assertThat(run.usage().sum().requests()).isZero();
        assertThat(run.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("T7: a try that failed otherwise before its answer may have been billed")
    void failed() {
        endsWith(SdkClientException.create("Unable to execute HTTP request", new Throwable("read timed out")));

        assertThat(run.usage().requests())
                .singleElement()
                .satisfies(request -> assertThat(request.source()).isEqualTo(UsageSource.MISSING));
    }
}
