package io.fluxtally.boot.chat;

import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageRecorder;
import java.lang.reflect.Modifier;
import java.util.Set;
import org.aopalliance.intercept.MethodInterceptor;
import org.aopalliance.intercept.MethodInvocation;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.aop.framework.ProxyFactory;
import org.springframework.aop.support.AopUtils;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;

/**
 * Measures models that are beans by what they answer. The bean stays of its class: it is a proxy, behind which the calls go by way
 * of a {@link UsageChatModel}.
 */
final class ChatModelBeans implements BeanPostProcessor {

    private static final Logger LOG = LoggerFactory.getLogger(ChatModelBeans.class);

    /** Spring AI's models that ask by an SDK. Names, since hardly an app has them all. */
    private static final Set<String> BY_SDK = Set.of(
            "org.springframework.ai.azure.openai.AzureOpenAiChatModel",
            "org.springframework.ai.bedrock.converse.BedrockProxyChatModel",
            "org.springframework.ai.google.genai.GoogleGenAiChatModel",
            "org.springframework.ai.oci.cohere.OCICohereChatModel",
            "org.springframework.ai.openaisdk.OpenAiSdkChatModel",
            "org.springframework.ai.vertexai.gemini.VertexAiGeminiChatModel");

    private final ObjectProvider<ChatModelProperties> properties;
    private final ObjectProvider<UsageRecorder> recorder;

    ChatModelBeans(ObjectProvider<ChatModelProperties> properties, ObjectProvider<UsageRecorder> recorder) {
        this.properties = properties;
        this.recorder = recorder;
    }

    @Override
    public Object postProcessAfterInitialization(Object bean, String beanName) {
        if (!(bean instanceof ChatModel model) || bean instanceof UsageChatModel) {
            return bean;
        }
        boolean wraps = switch (properties.getObject().wrap()) {
            case NONE -> false;
            case SDK -> BY_SDK.contains(AopUtils.getTargetClass(bean).getName());
            case ALL -> true;
        };
        return wraps ? wrapped(model, beanName) : bean;
    }

    private Object wrapped(ChatModel model, String beanName) {
        boolean isProxy = java.lang.reflect.Proxy.isProxyClass(model.getClass());
        if (!isProxy && Modifier.isFinal(model.getClass().getModifiers())) {
            LOG.warn(
                    "The model {} is of the final class {} and cannot be measured as a bean: use UsageChatModel.of(model) around it.",
                    beanName,
                    model.getClass().getName());
            return model;
        }
        try {
            ProxyFactory proxy = new ProxyFactory(model);
            proxy.setProxyTargetClass(!isProxy);
            proxy.addAdvice(new MeasuredCalls(UsageChatModel.of(model, recorder.getObject())));
            return proxy.getProxy(model.getClass().getClassLoader());
        } catch (RuntimeException | LinkageError failure) {
            MeasuringFailures.report("the model bean " + beanName, failure);
            return model;
        }
    }

    /** Sends the calls of the model's interface by way of another model, and all else to the model itself. */
    private record MeasuredCalls(ChatModel measured) implements MethodInterceptor {

        @Override
        public @Nullable Object invoke(MethodInvocation invocation) throws Throwable {
            String method = invocation.getMethod().getName();
            @Nullable Object[] arguments = invocation.getArguments();
            if (arguments.length == 1 && method.equals("call")) {
                if (arguments[0] instanceof Prompt prompt) {
                    return measured.call(prompt);
                } else if (arguments[0] instanceof String text) {
                    return measured.call(text);
                } else if (arguments[0] instanceof Message[] messages) {
                    return measured.call(messages);
                }
            } else if (arguments.length == 1 && method.equals("stream")) {
                if (arguments[0] instanceof Prompt prompt) {
                    return measured.stream(prompt);
                } else if (arguments[0] instanceof String text) {
                    return measured.stream(text);
                } else if (arguments[0] instanceof Message[] messages) {
                    return measured.stream(messages);
                }
            }
            return invocation.proceed();
        }
    }
}
