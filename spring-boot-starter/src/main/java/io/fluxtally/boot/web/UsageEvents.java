package io.fluxtally.boot.web;

import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.springframework.http.codec.ServerSentEvent;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;

/**
 * Server-sent events that tell a front end what a run has used, between the data that it asked for:
 *
 * <pre>{@code
 * @GetMapping(path = "/chat", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
 * Flux<ServerSentEvent<Object>> chat(String question) {
 *     return runs.trackFlux(run -> UsageEvents.with(chatClient.prompt(question).stream().content(), run));
 * }
 * }</pre>
 *
 * <p>The data of such an event is a JSON object. Its names are in snake case, and what no provider reported is left out, a part
 * of the tokens or all of them:
 *
 * <pre>{@code
 * event:usage
 * data:{"run_id":"…","input_tokens":460,"output_tokens":26,"total_tokens":486,"cache_read_input_tokens":192,
 *       "requests":2,"unreported":0,"complete":true}
 * }</pre>
 *
 * <p>Each is the whole of what the run has used by then, so the last one replaces those before it; it is exact if it is
 * {@code complete}, as in {@link RunUsage#isComplete()}. A request is counted when its response has ended.
 */
public final class UsageEvents {

    /** The name of the event. */
    public static final String NAME = "usage";

    private UsageEvents() {}

    /**
     * The given data as events, in the same order and at the same demand, and behind an element the use of the run whenever it
     * has grown since it was last told; and once at the end, before the completion or the error. Each subscription tells anew.
     * It works in Spring MVC and in WebFlux alike.
     *
     * @param data what the front end asked for; an element that is a {@link ServerSentEvent} already stays as it is
     * @param run the run whose use is told
     */
    public static <T> Flux<ServerSentEvent<Object>> with(Flux<T> data, UsageRun run) {
        return new WithUsage<>(data, run);
    }

    /** The event that tells what a run has used by now. */
    public static ServerSentEvent<Object> of(UsageRun run) {
        return event(run.id(), run.usage());
    }

    static ServerSentEvent<Object> event(String runId, RunUsage usage) {
        UsageSum sum = usage.sum();
        TokenUsage total = sum.total();
        // A map and no bean: an app may have told its JSON library to name the properties of beans otherwise.
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("run_id", runId);
        if (!sum.isUnknown() || sum.requests() == 0) {
            json.put("input_tokens", total.inputTokens());
            json.put("output_tokens", total.outputTokens());
            json.put("total_tokens", total.totalTokens());
        }
        for (TokenPart part : TokenPart.values()) {
            total.part(part).ifPresent(tokens -> json.put(part.key(), tokens));
        }
        json.put("requests", sum.requests());
        json.put("unreported", sum.unreported());
        json.put("complete", usage.isComplete());
        return ServerSentEvent.<Object>builder(Collections.unmodifiableMap(json))
                .event(NAME)
                .build();
    }

    private static final class WithUsage<T> extends FluxOperator<T, ServerSentEvent<Object>> {

        private final UsageRun run;

        WithUsage(Flux<T> data, UsageRun run) {
            super(data);
            this.run = run;
        }

        @Override
        public void subscribe(CoreSubscriber<? super ServerSentEvent<Object>> actual) {
            source.subscribe(new UsageEventSubscriber<>(actual, run));
        }
    }
}
