package io.fluxtally.graph.scripted;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;

/**
 * A model that answers from a script. Which turn it is follows from the prompt, by the answers since the user spoke last,
 * so any number of runs may ask it at once.
 */
public final class ScriptedModel implements ChatModel {

    private final UsageAt usageAt;
    private final boolean withIds;
    private final UnaryOperator<Flux<ChatResponse>> transport;
    private final List<Turn> turns;
    private final List<Prompt> prompts = new CopyOnWriteArrayList<>();

    private ScriptedModel(
            UsageAt usageAt, boolean withIds, UnaryOperator<Flux<ChatResponse>> transport, List<Turn> turns) {
        this.usageAt = usageAt;
        this.withIds = withIds;
        this.transport = transport;
        this.turns = turns;
    }

    /** A model with the usage on the last chunk that has content. */
    public static ScriptedModel of(Turn... turns) {
        return new ScriptedModel(UsageAt.LAST_CONTENT_CHUNK, true, chunks -> chunks, List.of(turns));
    }

    /** The three rounds of the seed example, two of them with a tool: 19,000 + 7,500 = 26,500 tokens. */
    public static ScriptedModel threeRounds(String tool) {
        return of(
                Turn.asks(5000, 2000, tool),
                Turn.asks(8000, 3000, tool),
                Turn.says(6000, 2500, "Take ", "an ", "umbrella."));
    }

    /** The same with the usage elsewhere. */
    public ScriptedModel with(UsageAt place) {
        return new ScriptedModel(place, withIds, transport, turns);
    }

    /** The same, but its responses have no id, as those of some providers. */
    public ScriptedModel withoutIds() {
        return new ScriptedModel(usageAt, false, transport, turns);
    }

    /** The same with its chunks delivered by another way. */
    public ScriptedModel over(UnaryOperator<Flux<ChatResponse>> way) {
        return new ScriptedModel(usageAt, withIds, way, turns);
    }

    /** What it was asked, in order. */
    public List<Prompt> prompts() {
        return prompts;
    }

    @Override
    public ChatResponse call(Prompt prompt) {
        prompts.add(prompt);
        int turn = turnOf(prompt);
        return turns.get(turn).whole(id(turn));
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return Flux.defer(() -> {
            prompts.add(prompt);
            int turn = turnOf(prompt);
            return transport.apply(Flux.fromIterable(turns.get(turn).chunks(id(turn), usageAt)));
        });
    }

    private String id(int turn) {
        return withIds ? "response-" + turn : null;
    }

    private static int turnOf(Prompt prompt) {
        int answers = 0;
        for (Message message : prompt.getInstructions()) {
            if (message instanceof UserMessage) {
                answers = 0;
            } else if (message instanceof AssistantMessage) {
                answers++;
            }
        }
        return answers;
    }
}
