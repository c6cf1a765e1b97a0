package io.fluxtally.bedrock;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.net.ConnectException;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.exception.SdkClientException;

class TappedExecutionTest {

    private final RunScope run = RunScope.start();

    private void endsWith(Throwable error) {
        endsWith(error, 1);
    }

    private void endsWith(Throwable error, int tries) {
        WireTap tap = WireTap.builder().recorder(UsageRecorder.withSinks()).build();
        TappedExecution execution = new TappedExecution(this, run);
        for (int i = 0; i < tries; i++) {
            execution.sends(tap.open(new RequestHead("POST", "/model/m/converse", name -> false), run));
        }
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
    @DisplayName("nor is an earlier try that failed so, whatever the last one failed with")
    void noConnectionInTimeBefore() {
        Throwable last = SdkClientException.create("Unable to execute HTTP request", new ConnectException("refused"));
        last.addSuppressed(SdkClientException.create(
                "Request attempt 1 failure: Unable to execute HTTP request: Acquire operation took longer than the"
                        + " configured maximum time."));

        endsWith(last, 2);

        assertThat(run.usage().sum().requests()).isZero();
        assertThat(run.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("T7: an earlier try that failed otherwise than the last may have been billed")
    void failedBefore() {
        Throwable last = SdkClientException.create("Unable to execute HTTP request", new ConnectException("refused"));
        last.addSuppressed(SdkClientException.create("Request attempt 1 failure: read timed out"));

        endsWith(last, 2);

        assertThat(run.usage().sum().requests()).isEqualTo(1);
        assertThat(run.usage().isComplete()).isFalse();
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
