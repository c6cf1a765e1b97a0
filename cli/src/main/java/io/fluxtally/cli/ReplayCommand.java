package io.fluxtally.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.conformance.engine.AppRun;
import io.fluxtally.conformance.engine.BillCheck;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.ScenarioFormatException;
import io.fluxtally.conformance.scenario.ScenarioReader;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code ./fluxtally replay}: runs scenario files through real clients and holds what was counted against their bill. */
@Command(
        name = "replay",
        mixinStandardHelpOptions = true,
        description = {
            "Runs each scenario file twice, with Fluxtally and without, and prints what was billed, what Fluxtally",
            "counted and what the stock stack read.",
            "Exit status: 0 when Fluxtally agrees with the bill in every file, 1 when it does not, 2 for a file that is",
            "unreadable or not in the format."
        })
final class ReplayCommand implements Callable<Integer> {

    private static final ObjectMapper JSON = new ObjectMapper();

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Option(
            names = "--engine",
            paramLabel = "ENGINE",
            description = "How the app asks the model: ${COMPLETION-CANDIDATES}; ${DEFAULT-VALUE} unless given.",
            completionCandidates = EngineWords.class,
            converter = EngineConverter.class,
            defaultValue = "model")
    private Engine engine = Engine.MODEL;

    @Option(names = "--json", description = "Print one JSON object per file, and nothing else.")
    private boolean json;

    @Parameters(arity = "1..*", paramLabel = "FILE", description = "Scenario files.")
    private List<Path> files = List.of();

    private ReplayCommand() {}

    /** The engines' names. */
    static final class EngineWords extends ArrayList<String> {

        private static final long serialVersionUID = 1L;

        EngineWords() {
            super(Stream.of(Engine.values()).map(Engine::word).toList());
        }
    }

    /** Finds an engine by its name. */
    static final class EngineConverter implements CommandLine.ITypeConverter<Engine> {

        @Override
        public Engine convert(String word) {
            return Stream.of(Engine.values())
                    .filter(engine -> engine.word().equals(word))
                    .findFirst()
                    .orElseThrow(() -> new CommandLine.TypeConversionException("engine must be one of %s, but is \"%s\""
                            .formatted(
                                    Stream.of(Engine.values()).map(Engine::word).collect(Collectors.joining(", ")),
                                    word)));
        }
    }

    @Override
    public Integer call() throws Exception {
        // All files are read before the first is run, so that a wrong one is found at once.
        List<Scenario> scenarios = new ArrayList<>();
        for (Path file : files) {
            try {
                scenarios.add(ScenarioReader.read(file));
            } catch (ScenarioFormatException error) {
                spec.commandLine().getErr().printf("fluxtally: %s%n", error.getMessage());
                return CommandLine.ExitCode.USAGE;
            }
        }
        boolean agreed = true;
        for (Scenario scenario : scenarios) {
            agreed &= replay(scenario);
        }
        return agreed ? 0 : Fluxtally.FAILED;
    }

    private boolean replay(Scenario scenario) throws Exception {
        AppRun measured;
        AppRun stock;
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            measured = engine.measured(scenario, provider.baseUrl("measured"))
                    .toFuture()
                    .get();
            stock = engine.stock(scenario, provider.baseUrl("stock")).toFuture().get();
        }
        ReplayReport report = new ReplayReport(scenario, engine, measured, stock);
        print(report);
        List<String> differences = BillCheck.differences(scenario.billed(), measured.usage());
        PrintWriter err = spec.commandLine().getErr();
        differences.forEach(difference -> err.printf("%s: %s%n", scenario.name(), difference));
        return differences.isEmpty();
    }

    private void print(ReplayReport report) throws JsonProcessingException {
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(JSON.writeValueAsString(report.toJson()));
        } else {
            report.print(out);
        }
        out.flush();
    }
}
