package io.fluxtally.alibaba;

import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

/** A model for any number of runs at once, billed by the number that the user says: the first round it, the second twice it. */
public final class CountingModel implements ChatModel {

    private final String tool;

    CountingModel(String tool) {
        this.tool = tool;
    }

    static int billed(int number) {
        return 3 * number;
    }

    @Override
    public ChatResponse call(Prompt prompt) {
        return turn(prompt).whole(id(), false);
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return Flux.defer(() -> Flux.fromIterable(turn(prompt).chunks(id(), UsageAt.USAGE_ONLY, false)))
                .subscribeOn(Schedulers.parallel());
    }

    private static String id() {
        return Long.toHexString(ThreadLocalRandom.current().nextLong());
    }

    private Turn turn(Prompt prompt) {
        List<Message> messages = prompt.getInstructions();
        int number = messages.stream()
                .filter(UserMessage.class::isInstance)
                .mapToInt(message -> Integer.parseInt(message.getText()))
                .max()
                .orElseThrow();
        boolean isSecond = messages.stream().anyMatch(AssistantMessage.class::isInstance);
        return isSecond
                ? Turn.says(2 * number, 0, "Ra", "in.")
                : Turn.asks(number, 0, new ToolCall("call", "function", tool, "{\"input\":\"%d\"}".formatted(number)));
    }

    @Override
    public ChatOptions getDefaultOptions() {
        return ToolCallingChatOptions.builder().model("counting").build();
    }
}
