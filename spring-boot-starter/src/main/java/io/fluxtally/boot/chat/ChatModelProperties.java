package io.fluxtally.boot.chat;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Settings of models that are beans.
 *
 * @param wrap Models whose calls are measured by what they answer, because the wire tap may not reach their requests.
 */
@ConfigurationProperties("fluxtally.chat-models")
public record ChatModelProperties(@DefaultValue("sdk") Wrap wrap) {

    /** Which models are wrapped. */
    public enum Wrap {
        /** None. */
        NONE,
        /** Those of Spring AI that ask by their provider's SDK, which no HTTP client of Spring's sees. */
        SDK,
        /** All, also those that the app builds with HTTP clients of its own. */
        ALL
    }
}
