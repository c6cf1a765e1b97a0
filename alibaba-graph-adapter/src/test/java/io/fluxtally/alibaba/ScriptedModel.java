package io.fluxtally.alibaba;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

/** A model that answers from a script, turn by turn and again from the first, and streams on a thread of its own. */
public final class ScriptedModel implements ChatModel {

    private final String name;
    private final UsageAt usageAt;
    private final boolean dashScope;
    private final List<Turn> turns;
    private final AtomicInteger calls = new AtomicInteger();
    private final List<Prompt> prompts = new CopyOnWriteArrayList<>();

    ScriptedModel(String name, UsageAt usageAt, boolean dashScope, Turn... turns) {
        this.name = name;
        this.usageAt = usageAt;
        this.dashScope = dashScope;
        this.turns = List.of(turns);
    }

    /** What it was asked, in order. */
    List<Prompt> prompts() {
        return prompts;
    }

    @Override
    public ChatResponse call(Prompt prompt) {
        prompts.add(prompt);
        int call = calls.getAndIncrement();
        Turn turn = turns.get(call % turns.size());
        if (turn.error()) {
            throw new IllegalStateException("network: the provider broke");
        }
        return turn.whole(name + "-" + call, dashScope);
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return Flux.defer(() -> {
                    prompts.add(prompt);
                    int call = calls.getAndIncrement();
                    Turn turn = turns.get(call % turns.size());
                    Flux<ChatResponse> chunks = Flux.fromIterable(turn.chunks(name + "-" + call, usageAt, dashScope));
                    return turn.error()
                            ? chunks.concatWith(Flux.error(new IllegalStateException("network: the provider broke")))
                            : chunks;
                })
                .subscribeOn(Schedulers.boundedElastic());
    }

    @Override
    public ChatOptions getDefaultOptions() {
        return ToolCallingChatOptions.builder()
                .model("scripted-1")
                .temperature(0.7)
                .build();
    }
}
