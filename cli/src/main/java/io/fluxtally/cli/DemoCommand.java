package io.fluxtally.cli;

import com.alibaba.cloud.ai.dashscope.common.DashScopeApiConstants;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.BillCheck;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.StreamingOutput;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.usage.RunUsage;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code ./fluxtally demo}: a streamed agent of three rounds, and what it is billed beside what is read of it. */
@Command(
        name = "demo",
        mixinStandardHelpOptions = true,
        description = {
            "Runs a streamed agent of three rounds with DashScope's real client and shows what it used.",
            "It talks to a provider on this machine, or with --live to the real one, with the key in AI_DASHSCOPE_API_KEY."
        })
final class DemoCommand implements Callable<Integer> {

    private static final String QUESTION = "上海天气怎么样？周末适合出门吗？";
    private static final String SCENARIO = "dashscope-three-rounds-running-stream";
    private static final String KEY_VARIABLE = "AI_DASHSCOPE_API_KEY";
    private static final int HIGHEST_PORT = 65_535;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Option(names = "--live", description = "Talk to the real service; this costs what it costs.")
    private boolean live;

    @Option(
            names = "--port",
            paramLabel = "PORT",
            description = "The port of the provider on this machine; any free one unless given.")
    private @Nullable Integer port;

    @Option(names = "--model", paramLabel = "NAME", description = "The model to ask; ${DEFAULT-VALUE} unless given.")
    private String model = "qwen-plus";

    private DemoCommand() {}

    @Override
    public Integer call() throws Exception {
        if (port != null && (port < 0 || port > HIGHEST_PORT)) {
            throw wrong("--port must be 0 to %d, but is %d".formatted(HIGHEST_PORT, port));
        }
        return live ? runLive() : runOnLoopback();
    }

    private int runLive() throws Exception {
        if (port != null) {
            throw wrong("--port is for the provider on this machine and does not go with --live");
        }
        String key = System.getenv(KEY_VARIABLE);
        if (key == null || key.isBlank()) {
            throw wrong("--live needs the environment variable %s, which is not set".formatted(KEY_VARIABLE));
        }
        RunUsage usage = ask(DashScopeApiConstants.DEFAULT_BASE_URL, key);
        printRounds(usage);
        return 0;
    }

    private int runOnLoopback() throws Exception {
        Scenario scenario = Scenarios.load(SCENARIO);
        RunUsage usage;
        Usage stock;
        try (LoopbackProvider provider =
                LoopbackProvider.builder().port(port == null ? 0 : port).start(scenario)) {
            usage = ask(provider.baseUrl("fluxtally"), "none");
            stock = Engine.MODEL
                    .stock(scenario, provider.baseUrl("stock"))
                    .toFuture()
                    .get()
                    .lastReadUsage();
        }
        printRounds(usage);

        PrintWriter out = out();
        UsageTable table = new UsageTable(out);
        table.printTotalHeading();
        table.printBill("the provider bills", scenario.billed().total());
        table.printTotal("Fluxtally reads", usage.sum());
        if (stock == null) {
            table.printTotal("the stock stack reads", 0, 0, 0);
        } else {
            table.printTotal(
                    "the stock stack reads",
                    stock.getPromptTokens(),
                    stock.getCompletionTokens(),
                    stock.getTotalTokens());
        }
        out.flush();
        List<String> differences = BillCheck.differences(scenario.billed(), usage);
        differences.forEach(difference -> spec.commandLine().getErr().println("fluxtally: " + difference));
        return differences.isEmpty() ? 0 : Fluxtally.FAILED;
    }

    /** Runs the agent to its end, showing its answer as it streams. */
    private RunUsage ask(String baseUrl, String key) throws Exception {
        PrintWriter out = out();
        out.printf("> %s%n", QUESTION);
        out.flush();
        ReactAgent agent = WeatherAgent.create(baseUrl, key, model, call -> out.printf("%n[tool] %s%n", call));
        NodeOutput end =
                agent.stream(QUESTION).doOnNext(this::show).last().toFuture().get();
        out.printf("%n%n");
        return end.runUsage();
    }

    private void show(NodeOutput output) {
        if (output instanceof StreamingOutput chunk && !chunk.text().isEmpty()) {
            out().print(chunk.text());
            out().flush();
        }
    }

    private void printRounds(RunUsage usage) {
        new UsageTable(out()).printRounds(usage);
        out().println();
        out().flush();
    }

    private PrintWriter out() {
        return spec.commandLine().getOut();
    }

    private ParameterException wrong(String problem) {
        return new ParameterException(spec.commandLine(), problem);
    }
}
