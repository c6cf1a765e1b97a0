package io.fluxtally.usage.wire;

import static io.fluxtally.usage.wire.Frames.openAiCall;
import static io.fluxtally.usage.wire.Frames.promptTokens;
import static io.fluxtally.usage.wire.TapUnderTest.JSON;
import static io.fluxtally.usage.wire.TapUnderTest.OPENAI_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.post;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import java.net.ConnectException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.util.context.Context;
import reactor.util.context.ContextView;

@DisplayName("A listener of the wire tap")
class RequestListenerTest {

    private final RunScope run = RunScope.start();
    private final List<String> heard = new ArrayList<>();

    private static TapUnderTest heardBy(RequestListener listener) {
        return TapUnderTest.with(settings -> settings.listener(listener));
    }

    private WireRequest admit(TapUnderTest tap, ContextView context) {
        return Objects.requireNonNull(tap.tap().admit(post(OPENAI_PATH), run, List.of(context)));
    }

    private static void answer(WireRequest request) {
        request.responded(200, JSON, null);
        request.body(ByteBuffer.wrap(openAiCall(promptTokens(24, 7)).getBytes(UTF_8)));
        request.completed();
    }

    private String tell(RequestUsage request) {
        return Objects.requireNonNull(request.usage()).inputTokens() + " of "
                + run.usage().total().inputTokens();
    }

    @Test
    @DisplayName("is told of a request in its context, and of its figure when the run has it, once")
    void told() {
        TapUnderTest tap = heardBy((contexts, open) ->
                request -> heard.add(contexts.iterator().next().get("place") + ": " + tell(request)));

        WireRequest request = admit(tap, Context.of("place", "here"));
        answer(request);
        request.cancelled();

        assertThat(heard).containsExactly("here: 24 of 24");
    }

    @Test
    @DisplayName("is told beside others, in their order")
    void several() {
        TapUnderTest tap =
                TapUnderTest.with(settings -> settings.listener((contexts, open) -> request -> heard.add("first"))
                        .listener((contexts, open) -> null)
                        .listener((contexts, open) -> request -> heard.add("last")));

        answer(admit(tap, Context.empty()));

        assertThat(heard).containsExactly("first", "last");
    }

    @Test
    @DisplayName("can say which model was asked for, unless the call itself does")
    void model() {
        TapUnderTest tap = heardBy((contexts, request) -> {
            request.requestModel("by the listener");
            return null;
        });

        answer(admit(tap, Context.empty()));
        WireRequest inACall = Objects.requireNonNull(
                tap.tap().admit(post(OPENAI_PATH), ModelCall.open(run, "by the call"), List.of()));
        answer(inACall);

        assertThat(tap.drain())
                .extracting(RequestUsage::requestModel)
                .containsExactly("by the listener", "by the call");
    }

    @Test
    @DisplayName("need not care for a request")
    void notInterested() {
        TapUnderTest tap = heardBy((contexts, open) -> null);

        answer(admit(tap, Context.empty()));

        assertThat(tap.drain()).hasSize(1);
    }

    @Test
    @DisplayName("can say that nobody waits for the response any more: it is booked as it stands")
    void abandoning() {
        List<ModelCall.OpenRequest> made = new ArrayList<>();
        TapUnderTest tap = heardBy((contexts, open) -> {
            made.add(open);
            return null;
        });

        admit(tap, Context.empty());
        made.get(0).abandon();

        assertThat(tap.only().outcome()).isEqualTo(RequestOutcome.CANCELLED);
    }

    @Test
    @DisplayName("hears nothing more of a request that was never sent")
    void neverSent() {
        TapUnderTest tap = heardBy((contexts, open) -> request -> heard.add("booked"));

        admit(tap, Context.empty()).failedToSend(new ConnectException("refused"));

        assertThat(heard).isEmpty();
    }

    @Test
    @DisplayName("that throws costs nothing but a count (T22)")
    void throwing() {
        long before = MeasuringFailures.count();
        TapUnderTest first = heardBy((contexts, open) -> {
            throw new IllegalStateException("at once");
        });
        TapUnderTest later = heardBy((contexts, open) -> request -> {
            throw new IllegalStateException("later");
        });

        answer(admit(first, Context.empty()));
        answer(admit(later, Context.empty()));

        assertThat(first.drain()).hasSize(1);
        assertThat(later.drain()).hasSize(1);
        assertThat(run.usage().isComplete()).isTrue();
        assertThat(MeasuringFailures.count()).isEqualTo(before + 2);
    }
}
