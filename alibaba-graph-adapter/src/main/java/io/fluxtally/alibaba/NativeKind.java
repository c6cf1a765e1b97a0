package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import io.fluxtally.dashscope.DashScopeUsages;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.openai.api.OpenAiApi;

/** Which native form of a usage the code of an app finds, and may cast to. */
enum NativeKind {
    /** DashScope's own type, whose native record has the parts. */
    DASHSCOPE {
        @Override
        Usage usage(TokenUsage tokens) {
            return DashScopeUsages.toDashScope(tokens);
        }
    },
    /** Spring AI's own type, with OpenAI's record behind it. */
    OPENAI {
        @Override
        Usage usage(TokenUsage tokens) {
            return new DefaultUsage(
                    tokens.getPromptTokens(),
                    tokens.getCompletionTokens(),
                    tokens.getTotalTokens(),
                    OpenAi.record(tokens));
        }
    },
    /** Any other: Fluxtally's. */
    ANY {
        @Override
        Usage usage(TokenUsage tokens) {
            return tokens;
        }
    };

    /** An app that asks other models only need not have DashScope's client. */
    private static final boolean HAS_DASHSCOPE = hasDashScope();

    private static final String OPENAI_RECORD = "org.springframework.ai.openai.api.OpenAiApi$Usage";

    /** Tokens in this form. */
    abstract Usage usage(TokenUsage tokens);

    /** The kind of a usage that an app can read, or null if it says nothing about that. */
    static @Nullable NativeKind of(@Nullable Object usage) {
        if (HAS_DASHSCOPE && usage instanceof DashScopeAiUsage) {
            return DASHSCOPE;
        }
        if (usage instanceof DefaultUsage known
                && known.getNativeUsage() != null
                // By its name, since the client may not be there at all.
                && known.getNativeUsage().getClass().getName().equals(OPENAI_RECORD)) {
            return OPENAI;
        }
        return null;
    }

    /** The kind for what was booked, where the app has seen nothing that says more. */
    static NativeKind of(RunUsage usage) {
        return HAS_DASHSCOPE
                        && usage.requests().stream().map(RequestUsage::provider).anyMatch("dashscope"::equals)
                ? DASHSCOPE
                : ANY;
    }

    /** Apart from the rest, since it is loaded only where OpenAI's client is. */
    private static final class OpenAi {

        static OpenAiApi.Usage record(TokenUsage tokens) {
            Integer cached = part(tokens, TokenPart.CACHE_READ_INPUT);
            Integer audioIn = part(tokens, TokenPart.AUDIO_INPUT);
            Integer reasoning = part(tokens, TokenPart.REASONING_OUTPUT);
            Integer audioOut = part(tokens, TokenPart.AUDIO_OUTPUT);
            return new OpenAiApi.Usage(
                    tokens.getCompletionTokens(),
                    tokens.getPromptTokens(),
                    tokens.getTotalTokens(),
                    cached == null && audioIn == null ? null : new OpenAiApi.Usage.PromptTokensDetails(audioIn, cached),
                    reasoning == null && audioOut == null
                            ? null
                            : new OpenAiApi.Usage.CompletionTokenDetails(reasoning, null, audioOut, null));
        }

        private static @Nullable Integer part(TokenUsage tokens, TokenPart part) {
            OptionalLong value = tokens.part(part);
            return value.isPresent() ? Integer.valueOf((int) Math.min(value.getAsLong(), Integer.MAX_VALUE)) : null;
        }
    }

    private static boolean hasDashScope() {
        try {
            return DashScopeAiUsage.class.getName() != null;
        } catch (NoClassDefFoundError notThere) {
            return false;
        }
    }
}
