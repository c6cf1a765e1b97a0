package io.fluxtally.bedrock;

import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttribute;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.SdkHttpRequest;

/**
 * Taps the Bedrock clients of the AWS SDK, the blocking and the asynchronous one:
 *
 * <pre>{@code
 * var interceptor = new WireTapExecutionInterceptor(WireTap.create());
 * BedrockRuntimeAsyncClient.builder()
 *         .overrideConfiguration(settings -> settings.addExecutionInterceptor(interceptor))
 * }</pre>
 *
 * <p>Each of the SDK's tries is a request of its own, also those that it makes in the background when Spring AI's stream
 * has already failed. It is booked when its response ends, which may be after the stream that it belongs to was cancelled,
 * since the SDK reads on then. The SDK does not tell when the app cancels its future before a response has begun: then
 * nothing is booked, and the run stays incomplete.
 *
 * <p>It finds the run on the thread that calls the SDK. That of Spring AI's stream is the subscriber's for the first
 * request, where {@code UsageChatModel} binds the call; a further round of its tool loop brings the results of tool calls
 * that an earlier response asked for, and belongs where that belongs.
 *
 * <p>Put on one client twice, it taps it once. Safe for use by any number of threads.
 */
public final class WireTapExecutionInterceptor implements ExecutionInterceptor {

    private static final String PART = "the interceptor of the AWS SDK";

    /** The SDK refuses a second attribute of a name, so that two class loaders over one SDK need two. */
    private static final ExecutionAttribute<TappedExecution> EXECUTION =
            new ExecutionAttribute<>("io.fluxtally.bedrock." + UUID.randomUUID());

    private final WireTap tap;
    private final ToolCallScopes toolCalls = new ToolCallScopes();

    /** An interceptor that reports to the given tap. */
    public WireTapExecutionInterceptor(WireTap tap) {
        this.tap = Objects.requireNonNull(tap, "tap");
    }

    @Override
    public void beforeExecution(Context.BeforeExecution context, ExecutionAttributes attributes) {
        try {
            if (attributes.getAttribute(EXECUTION) == null) {
                UsageScope scope = UsageScope.current();
                attributes.putAttribute(
                        EXECUTION,
                        new TappedExecution(this, scope != null ? scope : toolCalls.scopeOf(context.request())));
            }
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }

    private @Nullable TappedExecution own(ExecutionAttributes attributes) {
        TappedExecution execution = attributes.getAttribute(EXECUTION);
        return execution == null || execution.owner() != this ? null : execution;
    }

    @Override
    public void beforeTransmission(Context.BeforeTransmission context, ExecutionAttributes attributes) {
        try {
            TappedExecution execution = own(attributes);
            SdkHttpRequest request = context.httpRequest();
            if (execution == null || !execution.begins(request)) {
                return;
            }
            RequestHead head = new RequestHead(
                    request.method().name(),
                    Objects.requireNonNullElse(request.getUri().getPath(), ""),
                    name -> request.firstMatchingHeader(name).isPresent());
            execution.sends(tap.open(head, execution.scope()));
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }

    @Override
    public void afterTransmission(Context.AfterTransmission context, ExecutionAttributes attributes) {
        try {
            TappedExecution execution = own(attributes);
            if (execution != null) {
                execution.responded(context.httpResponse());
            }
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }

    @Override
    public Optional<InputStream> modifyHttpResponseContent(
            Context.ModifyHttpResponse context, ExecutionAttributes attributes) {
        Optional<InputStream> body = context.responseBody();
        try {
            TappedExecution execution = own(attributes);
            WireRequest wire = execution == null ? null : execution.request();
            return execution == null || wire == null || body.isEmpty() || !execution.tapsBody()
                    ? body
                    : body.map(stream -> new TappedBody(stream, wire));
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            return body;
        }
    }

    @Override
    public Optional<Publisher<ByteBuffer>> modifyAsyncHttpResponseContent(
            Context.ModifyHttpResponse context, ExecutionAttributes attributes) {
        Optional<Publisher<ByteBuffer>> body = context.responsePublisher();
        try {
            TappedExecution execution = own(attributes);
            WireRequest wire = execution == null ? null : execution.request();
            return execution == null || wire == null || body.isEmpty() || !execution.tapsBody()
                    ? body
                    : body.map(publisher ->
                            new TappedPublisher(publisher, wire, ids -> toolCalls.remember(ids, execution.scope())));
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            return body;
        }
    }

    @Override
    public void afterExecution(Context.AfterExecution context, ExecutionAttributes attributes) {
        end(attributes, null);
    }

    @Override
    public void onExecutionFailure(Context.FailedExecution context, ExecutionAttributes attributes) {
        end(attributes, context.exception());
    }

    private void end(ExecutionAttributes attributes, @Nullable Throwable error) {
        try {
            TappedExecution execution = own(attributes);
            if (execution != null) {
                execution.end(error);
            }
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }
}
