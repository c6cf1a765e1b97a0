package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.AppRun;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.engine.Seam;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Figures;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.UsageSum;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.metadata.Usage;

@DisplayName("docs/conformance.md")
class ConformanceTableTest {

    private static final Path PAGE = Path.of("../docs/conformance.md");
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String UNKNOWN = "unknown";
    private static final Set<String> TRAILING_USAGE = Set.of(
            "dashscope-three-rounds-usage-only-stream",
            "dashscope-tool-loop-trailing-usage-stream",
            "openai-tool-loop-stream",
            "openai-three-loops-stream",
            "openai-two-tool-calls-stream",
            "anthropic-tool-loop-stream");

    @Test
    @DisplayName("is what the scenarios come to on every engine; -Dfluxtally.docs=write writes it anew")
    void isUpToDate() throws IOException {
        String table = page();
        if ("write".equals(System.getProperty("fluxtally.docs"))) {
            Files.createDirectories(PAGE.getParent());
            Files.writeString(PAGE, table);
        }

        assertThat(Files.readString(PAGE)).isEqualTo(table);
    }

    private static String page() {
        List<String> lines = new ArrayList<>();
        lines.add("# Conformance");
        lines.add("");
        lines.add("What each scenario of the conformance kit is billed, what Fluxtally counts, and what the stock stack"
                + " reads of the same bytes, as input / output tokens,");
        lines.add(
                "for each way in which an app asks the model. Made by the build from running them all through the real"
                        + " clients; not written by hand.");
        lines.add("");
        lines.add("A figure is marked *incomplete* where a provider did not report all of it, and *error* where the app"
                + " sees one. What *varies* is not the same in every run.");
        lines.add("");
        lines.add("| scenario | billed | "
                + columns(engine -> "Fluxtally, `%1$s` | stock, `%1$s`".formatted(engine.word()))
                + " |");
        lines.add("|---|---|" + "---|---|".repeat(Engine.values().length));
        for (Scenario scenario : Scenarios.all()) {
            lines.add("| %s | %s | %s |"
                    .formatted(scenario.name(), billed(scenario), columns(engine -> cells(scenario, engine))));
        }
        lines.add("");
        lines.add("## Without the wire tap");
        lines.add("");
        lines.add(
                "What the same answers come to where no HTTP client can be tapped: by the decorator around the model, and by the"
                        + " operator behind its stream.");
        lines.add("");
        lines.add("| scenario | billed | decorator | operator |");
        lines.add("|---|---|---|---|");
        for (Scenario scenario : Scenarios.all()) {
            lines.add("| %s | %s | %s | %s |"
                    .formatted(
                            scenario.name(),
                            billed(scenario),
                            counted(scenario, Seam.DECORATOR),
                            scenario.mode() == Mode.CALL ? "" : counted(scenario, Seam.OPERATOR)));
        }
        lines.add("");
        return String.join("\n", lines);
    }

    private static String columns(Function<Engine, String> cell) {
        return String.join(" | ", Stream.of(Engine.values()).map(cell).toList());
    }

    private static String cells(Scenario scenario, Engine engine) {
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            AppRun measured =
                    engine.measured(scenario, provider.baseUrl("measured")).block(PATIENCE);
            AppRun stock = engine.stock(scenario, provider.baseUrl("stock")).block(PATIENCE);
            return counted(measured.usage().sum()) + " | " + (varies(scenario, engine) ? "*varies*" : read(stock));
        }
    }

    /**
     * Clients whose tool loop is inside the model emit a usage that trails a tool round while the tool and the next round run
     * (L11): which one comes last is not the same in every run, unless each round is a call of its own.
     */
    private static boolean varies(Scenario scenario, Engine engine) {
        return engine != Engine.GRAPH && engine != Engine.ALIBABA && TRAILING_USAGE.contains(scenario.name());
    }

    private static String counted(Scenario scenario, Seam seam) {
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            return counted(Engine.MODEL
                    .measured(scenario, provider.baseUrl(), EnumSet.of(seam))
                    .block(PATIENCE)
                    .usage()
                    .sum());
        }
    }

    private static String billed(Scenario scenario) {
        Figures total = scenario.billed().total();
        OptionalLong input = total.get(TokenKey.INPUT_TOKENS);
        OptionalLong output = total.get(TokenKey.OUTPUT_TOKENS);
        String figures =
                input.isPresent() && output.isPresent() ? input.getAsLong() + " / " + output.getAsLong() : UNKNOWN;
        return marked(figures, scenario.billed().complete(), "incomplete");
    }

    private static String counted(UsageSum sum) {
        String figures = sum.isUnknown()
                ? UNKNOWN
                : sum.total().inputTokens() + " / " + sum.total().outputTokens();
        return marked(figures, sum.isComplete(), "incomplete");
    }

    private static String read(AppRun stock) {
        Usage usage = stock.lastReadUsage();
        String figures = usage == null ? "0 / 0" : usage.getPromptTokens() + " / " + usage.getCompletionTokens();
        return marked(figures, stock.error() == null, "error");
    }

    private static String marked(String figures, boolean plain, String mark) {
        return plain ? figures : figures + ", *" + mark + "*";
    }
}
