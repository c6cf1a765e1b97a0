package io.fluxtally.boot.chat;

import io.fluxtally.usage.RequestUsage;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.client.ChatClientCustomizer;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.util.StringUtils;

/** Auto-configuration that labels the requests of chat clients which Boot's builder makes. */
@AutoConfiguration
@ConditionalOnClass(ChatClientCustomizer.class)
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@EnableConfigurationProperties(ChatClientProperties.class)
public class ChatClientAutoConfiguration {

    @Bean
    @ConditionalOnMissingBean(name = "fluxtallyChatClientCustomizer")
    @ConditionalOnBooleanProperty(name = "fluxtally.chat-client.labels", matchIfMissing = true)
    ChatClientCustomizer fluxtallyChatClientCustomizer(ChatClientProperties properties) {
        Map<String, String> keys = new HashMap<>();
        put(keys, RequestUsage.CONVERSATION, properties.conversationKey());
        put(keys, RequestUsage.USER, properties.userKey());
        put(keys, RequestUsage.TENANT, properties.tenantKey());
        LabellingAdvisor advisor = new LabellingAdvisor(keys);
        return builder -> builder.defaultAdvisors(advisor);
    }

    private static void put(Map<String, String> keys, String label, @Nullable String key) {
        if (StringUtils.hasText(key)) {
            keys.put(label, key);
        }
    }
}
