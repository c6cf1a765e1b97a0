package io.fluxtally.examples;

import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.chat.UsageEstimator;
import io.fluxtally.usage.wire.Drain;
import io.fluxtally.usage.wire.WireTap;
import java.time.Duration;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.tokenizer.JTokkitTokenCountEstimator;

/** What becomes of the figures of a stream that the app leaves before its end. */
public final class LeavingEarly {

    private LeavingEarly() {}

    /** A tap that reads on what the app leaves, so that the final usage still arrives. */
    public static WireTap draining() {
        WireTap tap = WireTap.builder()
                .drain(Drain.upTo(Duration.ofSeconds(30), 1_000_000))
                .build();
        return tap;
    }

    /** A model whose requests are estimated where the provider reports nothing. */
    public static ChatModel estimating(ChatModel model) {
        ChatModel estimating =
                UsageChatModel.of(model).estimating(UsageEstimator.counting(new JTokkitTokenCountEstimator()));
        return estimating;
    }
}
