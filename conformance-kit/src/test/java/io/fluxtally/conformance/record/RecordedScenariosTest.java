package io.fluxtally.conformance.record;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.AppRun;
import io.fluxtally.conformance.engine.BillCheck;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.ScenarioReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.model.ChatResponse;

@DisplayName("Every scenario of the kit, played to a real client through a recorder")
@Timeout(120)
class RecordedScenariosTest {

    @TempDir
    private Path folder;

    @TestFactory
    @DisplayName("is seen by the app as without, and becomes a file without its text that replays to the same figures")
    Stream<DynamicTest> recorded() {
        return Scenarios.all().stream()
                .map(scenario -> DynamicTest.dynamicTest(scenario.name(), () -> record(scenario)));
    }

    private void record(Scenario scenario) throws Exception {
        List<String> problems = new ArrayList<>();
        List<RecordedFile> files;
        AppRun direct = run(scenario, LoopbackProvider.start(scenario));
        AppRun through;
        try (LoopbackProvider provider = LoopbackProvider.start(scenario);
                Recorder recorder = Recorder.builder(URI.create(provider.baseUrl()), folder)
                        .name(scenario.name())
                        .client(scenario.client())
                        .onProblem(problems::add)
                        .start()) {
            through = run(scenario, recorder.baseUrl());
            recorder.close();
            files = List.copyOf(recorder.files());
        }

        assertThat(problems).isEmpty();
        assertThat(seen(through)).isEqualTo(seen(direct));
        assertThat(files)
                .singleElement()
                .satisfies(file -> assertThat(file.path()).isEqualTo(folder.resolve(scenario.name() + ".yaml")));
        Scenario recorded = ScenarioReader.read(files.get(0).path());
        if (scenario.responses().get(0).status() == 200) {
            assertThat(recorded.mode()).isEqualTo(scenario.mode());
        }
        assertThat(recorded.family()).isEqualTo(scenario.family());
        assertThat(recorded.responses()).hasSameSizeAs(scenario.responses());
        for (int i = 0; i < recorded.responses().size(); i++) {
            assertThat(size(recorded, i)).as("bytes of response " + i).isEqualTo(size(scenario, i));
        }

        Scenario replayed = asked(recorded, scenario);
        AppRun replay = run(replayed, LoopbackProvider.start(replayed));

        assertThat(BillCheck.differences(recorded.billed(), replay.usage())).isEmpty();
        assertThat(BillCheck.differences(scenario.billed(), replay.usage())).isEmpty();
    }

    private static int size(Scenario scenario, int response) {
        String body = scenario.responses().get(response).body();
        for (int i = 0; i < scenario.tools().size(); i++) {
            body = body.replace('"' + scenario.tools().get(i) + '"', '"' + "tool_" + (i + 1) + '"');
        }
        return body.getBytes(StandardCharsets.UTF_8).length;
    }

    /** What a request asked for is in no recording, nor when its app left: that is for people to put in. */
    private static Scenario asked(Scenario recorded, Scenario original) {
        return new Scenario(
                recorded.name(),
                recorded.family(),
                recorded.client(),
                recorded.mode(),
                recorded.tools(),
                original.options(),
                original.cancelAfter(),
                recorded.responses(),
                recorded.billed());
    }

    private static AppRun run(Scenario scenario, LoopbackProvider provider) throws Exception {
        try (provider) {
            return run(scenario, provider.baseUrl());
        }
    }

    private static AppRun run(Scenario scenario, String baseUrl) throws Exception {
        return Engine.MODEL.measured(scenario, baseUrl).toFuture().get();
    }

    private static List<String> seen(AppRun run) {
        List<String> seen = new ArrayList<>();
        for (ChatResponse response : run.responses()) {
            // The clients emit the usage that trails a tool round while the next round runs: where, is not always the
            // same.
            if (!response.getResults().isEmpty()) {
                seen.add(response.getResults().toString());
            }
        }
        seen.add(run.error() == null ? "no error" : run.error().getClass().getName());
        seen.add(String.valueOf(run.usage().sum()));
        return seen;
    }
}
