package io.fluxtally.boot.chat;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.azure.ai.openai.OpenAIClientBuilder;
import com.azure.core.http.HttpPipelineBuilder;
import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import java.util.List;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.slf4j.LoggerFactory;
import org.springframework.ai.azure.openai.AzureOpenAiChatModel;
import org.springframework.ai.azure.openai.AzureOpenAiChatOptions;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import reactor.core.publisher.Flux;

@DisplayName("A model that is a bean")
class ChatModelBeansTest {

    private final ApplicationContextRunner app = new ApplicationContextRunner()
            .withConfiguration(
                    AutoConfigurations.of(FluxtallyAutoConfiguration.class, ChatModelAutoConfiguration.class));

    /** A model with a state of its own and no default constructor. */
    static class OwnModel implements ChatModel {

        private final long input;

        OwnModel(long input) {
            this.input = input;
        }

        long input() {
            return input;
        }

        @Override
        public ChatResponse call(Prompt prompt) {
            return new ChatResponse(
                    List.of(new Generation(new AssistantMessage("cloudy"))),
                    ChatResponseMetadata.builder()
                            .id("r")
                            .usage(new DefaultUsage((int) input, 2))
                            .build());
        }

        @Override
        public Flux<ChatResponse> stream(Prompt prompt) {
            return Flux.just(call(prompt));
        }
    }

    static final class FinalModel extends OwnModel {

        FinalModel() {
            super(1);
        }
    }

    private static long requests(UsageRecorder recorder) {
        return recorder.processSum().requests();
    }

    @Test
    @DisplayName("stays the very object it is")
    void untouched() {
        OwnModel own = new OwnModel(3);

        app.withBean(OwnModel.class, () -> own).run(context -> {
            assertThat(context.getBean(ChatModel.class)).isSameAs(own);
            assertThat(requests(context.getBean(UsageRecorder.class))).isZero();
        });
    }

    @Test
    @DisplayName("is measured by every one of its methods where all models are to be, and stays of its class")
    void all() {
        app.withPropertyValues("fluxtally.chat-models.wrap=all")
                .withBean(OwnModel.class, () -> new OwnModel(3))
                .run(context -> {
                    OwnModel model = context.getBean(OwnModel.class);
                    UsageRecorder recorder = context.getBean(UsageRecorder.class);

                    model.call(new Prompt("Hello"));
                    model.call("Hello");
                    model.call(new UserMessage("Hello"));
                    model.stream(new Prompt("Hello")).blockLast();
                    model.stream("Hello").blockLast();
                    model.stream(new UserMessage("Hello")).blockLast();

                    assertThat(requests(recorder)).isEqualTo(6);
                    assertThat(recorder.processSum().total().inputTokens()).isEqualTo(18);
                    assertThat(model.input()).isEqualTo(3);
                });
    }

    @Test
    @DisplayName("of a final class is left, and a warning says so")
    void finalClass() {
        Logger log = (Logger) LoggerFactory.getLogger(ChatModelBeans.class);
        ListAppender<ILoggingEvent> logged = new ListAppender<>();
        logged.start();
        log.addAppender(logged);
        // Apps of other tests may have turned logging off.
        log.setLevel(Level.WARN);
        try {
            leavesFinalClass();
        } finally {
            log.setLevel(null);
            log.detachAppender(logged);
        }
        assertThat(logged.list)
                .extracting(ILoggingEvent::getFormattedMessage)
                .singleElement(InstanceOfAssertFactories.STRING)
                .contains("finalModel", "UsageChatModel.of(model)");
    }

    private void leavesFinalClass() {
        app.withPropertyValues("fluxtally.chat-models.wrap=all")
                .withBean("finalModel", FinalModel.class, FinalModel::new)
                .run(context -> assertThat(context.getBean(ChatModel.class)).isExactlyInstanceOf(FinalModel.class));
    }

    @ParameterizedTest
    @CsvSource({"sdk, 1", "all, 1", "none, 0"})
    @DisplayName("and asks by an SDK is measured, unless none is to be")
    void bySdk(String wrap, int requests) {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("openai-plain-stream"))) {
            app.withPropertyValues("fluxtally.chat-models.wrap=" + wrap)
                    .withBean(
                            AzureOpenAiChatModel.class,
                            () -> AzureOpenAiChatModel.builder()
                                    .openAIClientBuilder(new OpenAIClientBuilder()
                                            .endpoint(provider.baseUrl())
                                            .pipeline(new HttpPipelineBuilder().build()))
                                    .defaultOptions(AzureOpenAiChatOptions.builder()
                                            .deploymentName("gpt-4o")
                                            .streamUsage(true)
                                            .build())
                                    .build())
                    .run(context -> {
                        context.getBean(AzureOpenAiChatModel.class).stream(new Prompt("Hello"))
                                .blockLast(Duration.ofSeconds(30));

                        UsageRecorder recorder = context.getBean(UsageRecorder.class);
                        assertThat(requests(recorder)).isEqualTo(requests);
                        assertThat(recorder.processSum().total().inputTokens()).isEqualTo(24L * requests);
                    });
        }
    }

    @Test
    @DisplayName("and is one of Fluxtally's already is not measured twice")
    void already() {
        app.withPropertyValues("fluxtally.chat-models.wrap=all")
                .withBean(ChatModel.class, () -> UsageChatModel.of(new OwnModel(3)))
                .run(context -> assertThat(context.getBean(ChatModel.class)).isExactlyInstanceOf(UsageChatModel.class));
    }
}
