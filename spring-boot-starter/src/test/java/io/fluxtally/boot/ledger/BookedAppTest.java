package io.fluxtally.boot.ledger;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Bill;
import io.fluxtally.conformance.scenario.BilledRequest;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.ledger.LedgerQuery;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.ledger.jdbc.JdbcLedgerReader;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.h2.jdbcx.JdbcDataSource;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.tool.annotation.Tool;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.http.client.ReactorResourceFactory;

@DisplayName("The ledger of an app that has asked a model is, when the app is closed, what was billed")
class BookedAppTest {

    private static final Scenario SCENARIO = Scenarios.load("openai-tool-loop-stream");

    @Test
    @DisplayName("in files")
    void files(@TempDir Path directory) {
        ask("fluxtally.ledger.type=jsonl", "fluxtally.ledger.jsonl.directory=" + directory);

        List<RequestUsage> requests = new ArrayList<>();
        LedgerReader.of(directory).forEach(requests::add);
        assertThat(requests).extracting(RequestUsage::runId).containsOnly("booked");
        assertBilled(LedgerReader.of(directory).total(request -> true), requests);
    }

    @Test
    @DisplayName("in the app's database")
    void database() {
        JdbcDataSource database = new JdbcDataSource();
        database.setUrl("jdbc:h2:mem:" + UUID.randomUUID() + ";DB_CLOSE_DELAY=-1");
        database.setUser("sa");
        ask("fluxtally.ledger.type=jdbc", "spring.datasource.url=" + database.getUrl());

        JdbcLedgerReader ledger = new JdbcLedgerReader(database);
        assertBilled(ledger.total(LedgerQuery.ALL), ledger.requests(LedgerQuery.ALL));
    }

    private static void ask(String... properties) {
        try (LoopbackProvider provider = LoopbackProvider.start(SCENARIO)) {
            List<String> all = new ArrayList<>(List.of(
                    "spring.main.banner-mode=off",
                    "spring.ai.model.chat=openai",
                    "spring.ai.dashscope.api-key=none",
                    "spring.ai.openai.base-url=" + provider.baseUrl(),
                    "spring.ai.openai.api-key=none",
                    "spring.ai.openai.chat.options.model=qwen-plus",
                    "spring.ai.openai.chat.options.stream-usage=true"));
            all.addAll(Arrays.asList(properties));
            try (ConfigurableApplicationContext app = new SpringApplicationBuilder(App.class)
                            .web(WebApplicationType.NONE)
                            .properties(all.toArray(String[]::new))
                            .run();
                    UsageRun run = app.getBean(UsageRuns.class).open("booked")) {
                ChatClient client = app.getBean(ChatClient.Builder.class)
                        .defaultTools(new Weather())
                        .build();
                run.scope()
                        .wrap(client.prompt("上海天气如何？").stream().content().collectList())
                        .block(Duration.ofSeconds(30));
            }
        }
    }

    private static void assertBilled(UsageSum sum, List<RequestUsage> requests) {
        Bill bill = SCENARIO.billed();
        assertThat(sum.isComplete()).isTrue();
        assertThat(sum.requests()).isEqualTo(bill.requests().size());
        assertThat(sum.total().inputTokens())
                .isEqualTo(bill.total().get(TokenKey.INPUT_TOKENS).orElseThrow());
        assertThat(sum.total().outputTokens())
                .isEqualTo(bill.total().get(TokenKey.OUTPUT_TOKENS).orElseThrow());
        assertThat(requests)
                .extracting(RequestUsage::responseId)
                .containsExactlyInAnyOrderElementsOf(
                        bill.requests().stream().map(BilledRequest::responseId).toList());
    }

    /** A tool, so that there is more than one request. */
    static final class Weather {

        @Tool(name = "get_weather", description = "The weather in a city")
        String weather(String city) {
            return city + ": 多云";
        }
    }

    @SpringBootConfiguration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class App {

        /** Of its own, because an app that is closed closes what all apps of a JVM share. */
        @Bean
        ReactorResourceFactory reactorResources() {
            ReactorResourceFactory resources = new ReactorResourceFactory();
            resources.setUseGlobalResources(false);
            return resources;
        }
    }
}
