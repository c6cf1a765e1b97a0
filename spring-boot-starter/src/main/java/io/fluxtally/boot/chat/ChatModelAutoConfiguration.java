package io.fluxtally.boot.chat;

import io.fluxtally.usage.scope.UsageRecorder;
import org.springframework.aop.framework.ProxyFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;

/** Auto-configuration of models whose requests the wire tap cannot see. */
@AutoConfiguration
@ConditionalOnClass(ProxyFactory.class)
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@EnableConfigurationProperties(ChatModelProperties.class)
public class ChatModelAutoConfiguration {

    @Bean
    static BeanPostProcessor fluxtallyChatModelBeans(
            ObjectProvider<ChatModelProperties> properties, ObjectProvider<UsageRecorder> recorder) {
        return new ChatModelBeans(properties, recorder);
    }
}
