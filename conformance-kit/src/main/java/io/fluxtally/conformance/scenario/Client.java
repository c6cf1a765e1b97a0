package io.fluxtally.conformance.scenario;

import java.util.Locale;

/** The real client that talks to the loopback provider in a scenario. */
public enum Client {
    /** Spring AI Alibaba's DashScope client. */
    DASHSCOPE,
    /** Spring AI's OpenAI client. */
    OPENAI,
    /** Spring AI's Anthropic client. */
    ANTHROPIC,
    /** Spring AI's DeepSeek client. */
    DEEPSEEK,
    /** Spring AI's Mistral client. */
    MISTRAL,
    /** Spring AI's Zhipu client. */
    ZHIPU,
    /** Spring AI's Ollama client. */
    OLLAMA;

    /** The word that stands for this constant in a scenario file. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
