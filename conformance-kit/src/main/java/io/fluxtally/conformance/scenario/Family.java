package io.fluxtally.conformance.scenario;

import java.util.Locale;

/** The wire family of a scenario's bodies: whose JSON they are. */
public enum Family {
    /** DashScope native. */
    DASHSCOPE,
    /** OpenAI chat completions, and whoever speaks them. */
    OPENAI,
    /** Anthropic messages. */
    ANTHROPIC,
    /** Gemini generateContent. */
    GEMINI,
    /** Ollama native. */
    OLLAMA;

    /** The word that stands for this constant in a scenario file. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
