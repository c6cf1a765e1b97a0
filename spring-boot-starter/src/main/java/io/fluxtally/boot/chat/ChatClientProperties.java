package io.fluxtally.boot.chat;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Settings of chat clients, whose requests are labelled with what their advisors are told by the app.
 *
 * @param labels Whether requests of chat clients are labelled.
 * @param conversationKey Name under which advisors are told the conversation. It is that of Spring AI's chat memory.
 * @param userKey Name under which the app tells advisors the user. Without it, requests are not labelled with any.
 * @param tenantKey Name under which the app tells advisors the tenant. Without it, requests are not labelled with any.
 */
@ConfigurationProperties("fluxtally.chat-client")
public record ChatClientProperties(
        @DefaultValue("true") boolean labels,
        @DefaultValue("chat_memory_conversation_id") String conversationKey,
        @Nullable String userKey,
        @Nullable String tenantKey) {}
