package io.fluxtally.usage.scope;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.util.context.Context;

class ModelCallTest {

    private final RunScope run = RunScope.start("run").withAgent("planner").withNode("llm");
    private final ModelCall call = ModelCall.open(run, "qwen-plus");

    private static ModelCall answered(ModelCall call, Object usage, String responseId) {
        call.firstResponse(new Object());
        if (usage != null) {
            call.lastUsage(usage, TokenUsage.of(usage.hashCode() & 0xFFFF, 1));
        }
        if (responseId != null) {
            call.responseId(responseId);
        }
        return call;
    }

    private static RequestUsage next(UsageScope scope) {
        return ModelCall.newRequest(scope, Instant.EPOCH).build();
    }

    /** A request on the wire that came to no figure. */
    private static RequestUsage ended(RequestOutcome outcome) {
        return RequestUsage.builder("ended", Instant.EPOCH).outcome(outcome).build();
    }

    @Test
    @DisplayName("a call that the wire tap saw no request of is booked from its response")
    void nothingJoined() {
        assertThat(call.end()).isTrue();
    }

    @Test
    @DisplayName("a request that joined takes the slot, and keeps it after it was booked")
    void joinedWins() {
        ModelCall.OpenRequest request = () -> {};
        call.join(request, true);
        call.leave(request, ended(RequestOutcome.COMPLETED));

        assertThat(call.end()).isFalse();
        assertThat(call.end()).isFalse();
    }

    @Test
    @DisplayName("T7: the end of a call abandons the requests that are still open, and no others")
    void endAbandons() {
        List<String> abandoned = new ArrayList<>();
        ModelCall.OpenRequest booked = () -> abandoned.add("booked");
        ModelCall.OpenRequest open = new ModelCall.OpenRequest() {
            @Override
            public void abandon() {
                abandoned.add("open");
                call.leave(this, ended(RequestOutcome.CANCELLED));
            }
        };
        call.join(booked, true);
        call.leave(booked, ended(RequestOutcome.COMPLETED));
        call.join(open, true);

        assertThat(call.end()).isFalse();
        assertThat(call.end()).isFalse();

        assertThat(abandoned).containsExactly("open");
    }

    @Test
    @DisplayName("a request carries the labels of the run and of the call")
    void labels() {
        RequestUsage request = next(call);

        assertThat(request.runId()).isEqualTo("run");
        assertThat(request.agent()).isEqualTo("planner");
        assertThat(request.node()).isEqualTo("llm");
        assertThat(request.requestModel()).isEqualTo("qwen-plus");
        assertThat(request.callId()).isNotEmpty();
        assertThat(request.attempt()).isEqualTo(1);
        assertThat(request.round()).isEqualTo(1);
        assertThat(request.start()).isEqualTo(Instant.EPOCH);
    }

    @Test
    @DisplayName("requests of one call share its id, have ids of their own, and other calls have another")
    void ids() {
        RequestUsage first = next(call);
        RequestUsage second = next(call);

        assertThat(second.callId()).isEqualTo(first.callId());
        assertThat(second.requestId()).isNotEqualTo(first.requestId());
        assertThat(next(ModelCall.open(run, null)).callId()).isNotEqualTo(first.callId());
    }

    @Test
    @DisplayName("T8: a request after one that failed is the next attempt of the same round")
    void attempts() {
        for (RequestOutcome outcome :
                List.of(RequestOutcome.FAILED, RequestOutcome.REJECTED, RequestOutcome.TRUNCATED)) {
            ModelCall.OpenRequest failed = () -> {};
            call.join(failed, true);
            call.leave(failed, ended(outcome));
        }

        assertThat(next(call).attempt()).isEqualTo(4);
        assertThat(next(call).round()).isEqualTo(1);
    }

    @Test
    @DisplayName("T8: a request in a scope that is another attempt is another, and one after it that failed the next")
    void attemptOfScope() {
        RunScope again = run.withAttempt(2).branch();
        ModelCall second = ModelCall.open(again, null);
        ModelCall.OpenRequest failed = () -> {};

        assertThat(next(again).attempt()).isEqualTo(2);
        assertThat(next(second).attempt()).isEqualTo(2);
        second.join(failed, true);
        second.leave(failed, ended(RequestOutcome.FAILED));
        assertThat(next(second).attempt()).isEqualTo(3);
        assertThat(next(ModelCall.open(null, null)).attempt()).isEqualTo(1);
    }

    @Test
    @DisplayName("T3: a request after a completed one is the first attempt of the next round of a hidden tool loop")
    void rounds() {
        ModelCall.OpenRequest failed = () -> {};
        call.join(failed, true);
        call.leave(failed, ended(RequestOutcome.FAILED));
        ModelCall.OpenRequest completed = () -> {};
        call.join(completed, true);
        call.leave(completed, ended(RequestOutcome.COMPLETED));

        assertThat(next(call).round()).isEqualTo(2);
        assertThat(next(call).attempt()).isEqualTo(1);
    }

    @Test
    @DisplayName("a round that the scope names goes before the one counted here")
    void namedRound() {
        ModelCall inRound = ModelCall.open(run.withRound(7), null);
        ModelCall.OpenRequest completed = () -> {};
        inRound.join(completed, true);
        inRound.leave(completed, ended(RequestOutcome.COMPLETED));

        assertThat(next(inRound).round()).isEqualTo(7);
    }

    @Test
    @DisplayName("a request made in a run but outside any call has the run's labels only")
    void outsideCall() {
        RequestUsage request = next(run.withRound(3));

        assertThat(request.runId()).isEqualTo("run");
        assertThat(request.round()).isEqualTo(3);
        assertThat(request.callId()).isNull();
        assertThat(request.requestModel()).isNull();
        assertThat(request.attempt()).isEqualTo(1);
    }

    @Test
    @DisplayName("a request made nowhere has an id and no label")
    void nowhere() {
        RequestUsage request = next(null);

        assertThat(request.requestId()).isNotEmpty();
        assertThat(request.runId()).isNull();
        assertThat(request.callId()).isNull();
        assertThat(request.round()).isNull();
    }

    @Test
    @DisplayName("a call around another does not book the usage object that the inner one was answered")
    void sameUsageInside() {
        Object usage = new Object();
        ModelCall inner = ModelCall.open(call, null);

        assertThat(answered(inner, usage, null).end()).isTrue();
        assertThat(answered(call, usage, "an id of its own").end()).isFalse();
    }

    @Test
    @DisplayName("a call around another does not book the response that the inner one was answered")
    void sameResponseInside() {
        ModelCall middle = ModelCall.open(call, null);
        ModelCall inner = ModelCall.open(middle, null);

        assertThat(answered(inner, new Object(), "chatcmpl-1").end()).isTrue();
        assertThat(answered(middle, new Object(), "chatcmpl-1").end()).isFalse();
        assertThat(answered(call, new Object(), "chatcmpl-1").end()).isFalse();
    }

    @Test
    @DisplayName("a call around another that the wire tap saw books nothing either")
    void joinedInside() {
        ModelCall inner = ModelCall.open(call, null);
        ModelCall.OpenRequest request = () -> {};
        inner.join(request, true);
        inner.leave(request, ended(RequestOutcome.COMPLETED));

        assertThat(answered(inner, null, "chatcmpl-1").end()).isFalse();
        assertThat(answered(call, null, "chatcmpl-1").end()).isFalse();
    }

    @Test
    @DisplayName("a call around another does not book the very response that the inner one was answered")
    void sameObjectInside() {
        Object response = new Object();

        ModelCall inner = ModelCall.open(call, null);
        inner.firstResponse(response);
        call.firstResponse(response);

        assertThat(inner.end()).isTrue();
        assertThat(call.end()).isFalse();
    }

    @Test
    @DisplayName("T19: answers without usage and id are different answers")
    void nothingInCommon() {
        assertThat(answered(ModelCall.open(call, null), null, null).end()).isTrue();
        assertThat(answered(call, null, null).end()).isTrue();
    }

    @Test
    @DisplayName(
            "T19: a call inside whose answer is another, as that of a tool's own model, leaves the outer one to book")
    void otherAnswerInside() {
        ModelCall ofTool = ModelCall.open(call, null);

        assertThat(answered(ofTool, new Object(), "chatcmpl-tool").end()).isTrue();
        assertThat(answered(call, new Object(), "chatcmpl-1").end()).isTrue();
    }

    @Test
    @DisplayName("a call around another that failed before any answer has nothing of its own to book")
    void noAnswerInside() {
        assertThat(ModelCall.open(call, null).end()).isTrue();
        assertThat(call.end()).isFalse();
    }

    @Test
    @DisplayName("T7, T19: a call that failed before any answer is booked, if only its tool's own model was answered")
    void failedAfterTool() {
        answered(ModelCall.open(call, null), new Object(), "chatcmpl-tool").end();

        assertThat(call.end()).isTrue();
    }

    @Test
    @DisplayName("a call around another leaves its answer to the inner one, even if that has not ended yet")
    void innerStillOpen() {
        Object response = new Object();
        ModelCall.open(call, null).firstResponse(response);
        call.firstResponse(response);

        assertThat(call.end()).isFalse();
    }

    @Test
    @DisplayName("a call belongs to the run it is made in, through an outer call too, or to none")
    void runOfCall() {
        assertThat(call.runScope()).isSameAs(run);
        assertThat(ModelCall.open(call, null).runScope()).isSameAs(run);
        assertThat(ModelCall.open(null, null).runScope()).isNull();
        assertThat(next(ModelCall.open(null, "qwen")).runId()).isNull();
        assertThat(next(ModelCall.open(null, "qwen")).round()).isEqualTo(1);
    }

    @Test
    @DisplayName(
            "T9: a run entered inside a call keeps the call, on a thread and in a context, so that one answer is booked once")
    void runEnteredInside() {
        RunScope agent = RunScope.start("sub-agent");
        UsageScope.Binding outer = call.bind();
        try (outer) {
            UsageScope.Binding inner = agent.bind();
            try (inner) {
                assertThat(UsageScope.current().runScope().runId()).isEqualTo("sub-agent");
                assertThat(UsageScope.current().modelCall()).isSameAs(call);
            }
        }
        UsageScope inContext = UsageScope.current(agent.writeTo(call.writeTo(Context.empty())));
        assertThat(inContext.modelCall()).isSameAs(call);

        Object usage = new Object();
        ModelCall inside = answered(ModelCall.open(inContext, null), usage, "chatcmpl-1");
        answered(call, new Object(), "chatcmpl-1");

        assertThat(inside.end()).isTrue();
        assertThat(call.end()).isFalse();
    }

    @Test
    @DisplayName(
            "T19: a request on the wire with another response id was a tool's, and the call is booked beside it, in doubt")
    void aToolsRequestOnTheWire() {
        ModelCall.OpenRequest request = () -> {};
        call.join(request, true);
        call.leave(
                request,
                RequestUsage.builder("tool", Instant.EPOCH)
                        .responseId("chatcmpl-tool")
                        .usage(TokenUsage.of(7, 3), UsageSource.REPORTED)
                        .build());
        answered(call, new Object(), "chatcmpl-1");

        assertThat(call.end()).isTrue();
        assertThat(call.isDoubtful()).isTrue();
    }

    @Test
    @DisplayName("a request on the wire is the call's answer if it has its response id, or its tokens")
    void theAnswerOnTheWire() {
        for (RequestUsage.Builder booked : List.of(
                RequestUsage.builder("same id", Instant.EPOCH)
                        .responseId("chatcmpl-1")
                        .usage(TokenUsage.of(7, 3), UsageSource.REPORTED),
                RequestUsage.builder("same tokens", Instant.EPOCH)
                        .responseId("of the wire")
                        .usage(TokenUsage.of(5, 1), UsageSource.REPORTED))) {
            ModelCall one = ModelCall.open(run, null);
            ModelCall.OpenRequest request = () -> {};
            one.join(request, false);
            one.leave(request, booked.build());
            one.firstResponse(new Object());
            one.lastUsage(new Object(), TokenUsage.of(5, 1));
            one.responseId("chatcmpl-1");

            assertThat(one.end()).isFalse();
        }
    }

    @Test
    @DisplayName("a run is not complete while a call is in flight, and is again once it is closed, once")
    void inFlight() {
        RunScope flying = RunScope.start();
        ModelCall one = ModelCall.open(flying.branch(), null);

        assertThat(flying.usage().inFlight()).isEqualTo(1);
        assertThat(flying.usage().isComplete()).isFalse();

        one.close();
        one.close();

        assertThat(flying.usage().inFlight()).isZero();
        assertThat(flying.usage().isComplete()).isTrue();
    }
}
