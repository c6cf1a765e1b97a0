package io.fluxtally.boot.chat;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageScope;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.client.ChatClientCustomizer;
import org.springframework.ai.chat.client.ChatClientRequest;
import org.springframework.ai.chat.client.ChatClientResponse;
import org.springframework.ai.chat.client.advisor.api.CallAdvisor;
import org.springframework.ai.chat.client.advisor.api.CallAdvisorChain;
import org.springframework.ai.chat.memory.ChatMemory;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.core.Ordered;
import reactor.core.publisher.Flux;

class ChatClientLabelsTest {

    private final ApplicationContextRunner runner = new ApplicationContextRunner()
            .withConfiguration(
                    AutoConfigurations.of(FluxtallyAutoConfiguration.class, ChatClientAutoConfiguration.class));

    private final Model model = new Model();

    @AfterEach
    void threadIsLeftClean() {
        assertThat(UsageScope.current()).isNull();
    }

    /** It keeps the scope that each of its calls was made in. */
    private static final class Model implements ChatModel {

        private static final ChatResponse ANSWER = new ChatResponse(List.of(new Generation(new AssistantMessage("a"))));

        private final List<@Nullable UsageScope> scopes = new ArrayList<>();

        @Override
        public ChatResponse call(Prompt prompt) {
            scopes.add(UsageScope.current());
            return ANSWER;
        }

        @Override
        public Flux<ChatResponse> stream(Prompt prompt) {
            return Flux.deferContextual(context -> {
                scopes.add(UsageScope.current(context));
                return Flux.just(ANSWER);
            });
        }

        Map<String, String> labels() {
            UsageScope scope = scopes.get(scopes.size() - 1);
            return scope == null ? Map.of() : scope.labels();
        }
    }

    private void withClient(Consumer<ChatClient> app, String... properties) {
        runner.withPropertyValues(properties).run(context -> {
            ChatClient.Builder builder = ChatClient.builder(model);
            context.getBeanProvider(ChatClientCustomizer.class).forEach(customizer -> customizer.customize(builder));
            app.accept(builder.build());
        });
    }

    private static ChatClient.ChatClientRequestSpec ask(ChatClient client, String key, Object value) {
        return client.prompt("Hello").advisors(advisors -> advisors.param(key, value));
    }

    /** What both ways of asking are labelled with. */
    private Map<String, String> labels(ChatClient client, String key, Object value) {
        ask(client, key, value).call().content();
        Map<String, String> ofCall = model.labels();
        ask(client, key, value).stream().content().blockLast();
        assertThat(model.labels()).isEqualTo(ofCall);
        return ofCall;
    }

    @Test
    @DisplayName("calls and streams are labelled with the conversation, outside any run")
    void conversation() {
        withClient(client -> {
            assertThat(labels(client, ChatMemory.CONVERSATION_ID, "c-1"))
                    .containsExactly(Map.entry(RequestUsage.CONVERSATION, "c-1"));
            assertThat(model.scopes.get(0).runScope()).isNull();
            client.prompt("Hello").call().content();
            assertThat(model.labels()).isEmpty();
        });
    }

    @Test
    @DisplayName("inside a run the labels are the run's requests', and what was labelled around stays so")
    void insideRun() {
        withClient(client -> runner.run(context -> {
            UsageRuns runs = context.getBean(UsageRuns.class);
            UsageScope tenant = UsageScope.labelled(null, RequestUsage.TENANT, "t-1");
            try (UsageScope.Binding bound = tenant.bind()) {
                runs.track(() -> labels(client, ChatMemory.CONVERSATION_ID, "c-1"));
                String id = model.scopes.get(0).runScope().runId();
                assertThat(model.scopes).allSatisfy(scope -> {
                    assertThat(scope.runScope().runId()).isEqualTo(id);
                    assertThat(scope.labels())
                            .containsOnly(
                                    Map.entry(RequestUsage.CONVERSATION, "c-1"), Map.entry(RequestUsage.TENANT, "t-1"));
                });
            }
            // By the Reactor context alone.
            runs.track(ask(client, ChatMemory.CONVERSATION_ID, "c-2").stream().content())
                    .blockLast();
            assertThat(model.labels()).containsOnly(Map.entry(RequestUsage.CONVERSATION, "c-2"));
            assertThat(model.scopes.get(2).runScope()).isNotNull();
        }));
    }

    @Test
    @DisplayName("user and tenant are labelled by the names that the app gives, and not without")
    void userAndTenant() {
        withClient(
                client -> {
                    assertThat(labels(client, "who", 4711L)).containsOnly(Map.entry(RequestUsage.USER, "4711"));
                    UUID tenant = UUID.randomUUID();
                    assertThat(labels(client, "org", tenant))
                            .containsOnly(Map.entry(RequestUsage.TENANT, tenant.toString()));
                    assertThat(labels(client, "thread", "c-1"))
                            .containsOnly(Map.entry(RequestUsage.CONVERSATION, "c-1"));
                    assertThat(labels(client, ChatMemory.CONVERSATION_ID, "c-1"))
                            .isEmpty();
                },
                "fluxtally.chat-client.user-key=who",
                "fluxtally.chat-client.tenant-key=org",
                "fluxtally.chat-client.conversation-key=thread");
        withClient(client -> assertThat(labels(client, "who", "u-1")).isEmpty(), "fluxtally.chat-client.user-key=");
        withClient(client -> assertThat(labels(client, "user", "u-1")).isEmpty());
    }

    @Test
    @DisplayName("a conversation that nobody named says nothing, while a user may be called so")
    void defaultConversation() {
        withClient(
                client -> {
                    assertThat(labels(client, ChatMemory.CONVERSATION_ID, ChatMemory.DEFAULT_CONVERSATION_ID))
                            .isEmpty();
                    assertThat(labels(client, "user", "default")).containsOnly(Map.entry(RequestUsage.USER, "default"));
                },
                "fluxtally.chat-client.user-key=user");
    }

    @Test
    @DisplayName(
            "what is no identifier is not taken and counted as a failure, and the call goes on with its other labels")
    void noIdentifiers() {
        withClient(
                client -> {
                    List<Object> texts = List.of(
                            "x".repeat(257),
                            "",
                            " \t",
                            "What is the\nweather like?",
                            new StringBuilder("u-1"),
                            List.of(1));
                    for (Object text : texts) {
                        long before = MeasuringFailures.count();
                        String answer = client.prompt("Hello")
                                .advisors(advisors -> advisors.param(ChatMemory.CONVERSATION_ID, "c-1")
                                        .param("user", text))
                                .call()
                                .content();
                        assertThat(answer).isEqualTo("a");
                        assertThat(model.labels()).containsOnly(Map.entry(RequestUsage.CONVERSATION, "c-1"));
                        assertThat(MeasuringFailures.count()).isEqualTo(before + 1);
                        assertThat(labels(client, "user", text)).isEmpty();
                    }
                    assertThat(labels(client, "user", "x".repeat(256))).hasSize(1);
                },
                "fluxtally.chat-client.user-key=user");
    }

    @Test
    @DisplayName("it is the first advisor, so that what others ask of a model is labelled too")
    void first() {
        withClient(client -> {
            CallAdvisor asking = new CallAdvisor() {
                @Override
                public ChatClientResponse adviseCall(ChatClientRequest request, CallAdvisorChain chain) {
                    model.call(request.prompt());
                    return chain.nextCall(request);
                }

                @Override
                public String getName() {
                    return "asking";
                }

                @Override
                public int getOrder() {
                    return Ordered.HIGHEST_PRECEDENCE + 1;
                }
            };
            ask(client, ChatMemory.CONVERSATION_ID, "c-1")
                    .advisors(asking)
                    .call()
                    .content();
            assertThat(model.scopes)
                    .hasSize(2)
                    .allSatisfy(scope -> assertThat(scope.labels()).containsEntry(RequestUsage.CONVERSATION, "c-1"));
        });
    }

    @Test
    @DisplayName("a stream is labelled by where it is subscribed, and not by where it was made")
    void subscription() throws Exception {
        withClient(client -> {
            UsageScope there = UsageScope.labelled(null, RequestUsage.TENANT, "t-1");
            UsageScope here = UsageScope.labelled(null, RequestUsage.TENANT, "t-2");
            Flux<String> answer;
            try (UsageScope.Binding bound = here.bind()) {
                answer = ask(client, ChatMemory.CONVERSATION_ID, "c-1").stream().content();
            }
            answer.contextWrite(there::writeTo).blockLast();
            assertThat(model.labels())
                    .containsOnly(Map.entry(RequestUsage.CONVERSATION, "c-1"), Map.entry(RequestUsage.TENANT, "t-1"));
        });
    }

    @Test
    @DisplayName("nothing is labelled where the app wants none, where Fluxtally is off, or without a chat client")
    void off() {
        runner.run(context -> assertThat(context).hasSingleBean(ChatClientCustomizer.class));
        runner.withPropertyValues("fluxtally.chat-client.labels=false")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(ChatClientCustomizer.class));
        runner.withPropertyValues("fluxtally.enabled=false")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(ChatClientCustomizer.class));
        runner.withClassLoader(new FilteredClassLoader("org.springframework.ai.chat.client"))
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean("fluxtallyChatClientCustomizer"));
    }
}
