package io.fluxtally.bedrock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.StandardRetryStrategy;
import software.amazon.awssdk.retries.api.BackoffStrategy;
import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeAsyncClient;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseResponse;

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
    @DisplayName("nor is an earlier try that was refused a connection, where a later one waited for one in vain")
    void refusedBefore() {
        Throwable last = SdkClientException.create(
                "Unable to execute HTTP request: Acquire operation took longer than the configured maximum time.");
        last.addSuppressed(SdkClientException.create(
                "Request attempt 1 failure: Unable to execute HTTP request: Connection refused: /127.0.0.1:1"));

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

    @Test
    @DisplayName("so it is with the real SDK, whose pool waits for a server that never says hello")
    void silentServer() throws Exception {
        WireTap tap = WireTap.builder().recorder(UsageRecorder.withSinks()).build();
        try (ServerSocket silent = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
                BedrockRuntimeAsyncClient client = BedrockRuntimeAsyncClient.builder()
                        .endpointOverride(URI.create("http://127.0.0.1:" + silent.getLocalPort()))
                        .region(Region.US_EAST_1)
                        .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("id", "none")))
                        .httpClientBuilder(NettyNioAsyncHttpClient.builder()
                                .protocol(Protocol.HTTP2)
                                .connectionAcquisitionTimeout(Duration.ofMillis(200)))
                        .overrideConfiguration(
                                settings -> settings.addExecutionInterceptor(new WireTapExecutionInterceptor(tap))
                                        .retryStrategy(StandardRetryStrategy.builder()
                                                .maxAttempts(3)
                                                .backoffStrategy(BackoffStrategy.retryImmediately())
                                                .build()))
                        .build()) {
            CompletableFuture<ConverseResponse> call = run.call(() -> client.converse(request -> request.modelId("m")));

            assertThatThrownBy(call::join).hasStackTraceContaining("Acquire operation took longer than");
        }
        assertThat(run.usage().sum().requests()).isZero();
        assertThat(run.usage().isComplete()).isTrue();
    }
}
