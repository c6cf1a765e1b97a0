package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.pair;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.checkpoint.Checkpoint.Status;
import io.fluxtally.graph.checkpoint.jdbc.JdbcCheckpointSaver;
import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.h2.jdbcx.JdbcDataSource;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.prompt.Prompt;

@DisplayName("a run that another process began")
@Timeout(180)
class OtherProcessTest {

    private static final String INTERRUPTED = "interrupted";
    private static final String DIES = "dies";

    @TempDir
    private Path directory;

    /** The other process: runs the graph in the given database until it is interrupted, or dies in its second node. */
    public static final class Other {

        private Other() {}

        /** Begins the run. */
        public static void main(String[] arguments) {
            JdbcCheckpointSaver saver = saver(Path.of(arguments[0]));
            saver.initializeSchema().block();
            boolean dies = arguments[1].equals(DIES);
            graph(saver, dies).thread("t").stream(Map.of()).blockLast();
        }
    }

    private static JdbcCheckpointSaver saver(Path directory) {
        JdbcDataSource database = new JdbcDataSource();
        database.setURL("jdbc:h2:file:" + directory.resolve("runs"));
        return new JdbcCheckpointSaver(database);
    }

    private static CompiledGraph graph(JdbcCheckpointSaver saver, boolean dies) {
        ScriptedModel model = ScriptedModel.of(Turn.says(100, 10, "one"), Turn.says(200, 20, "two"));
        NodeAction second = asks(model);
        NodeAction dying = (state, run) -> {
            run.capture(model).stream(new Prompt(state.<Message>list(Graphs.ANSWERS)))
                    .blockLast();
            Runtime.getRuntime().halt(7);
            return NodeResult.none();
        };
        CompileConfig saved = CompileConfig.DEFAULT.withCheckpoints(saver);
        return pair(asks(model), dies ? dying : second).compile(dies ? saved : saved.withInterruptBefore("second"));
    }

    private int runOther(String how) throws IOException, InterruptedException {
        Process other = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Other.class.getName(),
                        directory.toString(),
                        how)
                .inheritIO()
                .start();
        try {
            assertThat(other.waitFor(120, TimeUnit.SECONDS)).isTrue();
            return other.exitValue();
        } finally {
            other.destroyForcibly();
        }
    }

    @Test
    @DisplayName("is resumed here with what it had used there, and with its messages")
    void resumedHere() throws IOException, InterruptedException {
        assertThat(runOther(INTERRUPTED)).isZero();
        GraphThread thread = graph(saver(directory), false).thread("t");
        StateSnapshot snapshot = thread.last().block();
        assertThat(snapshot.interrupts()).singleElement().satisfies(waits -> {
            assertThat(waits.node()).isEqualTo("second");
            assertThat(waits.when()).isEqualTo(Interrupt.When.BEFORE);
        });
        assertThat(snapshot.usage().total()).isEqualTo(TokenUsage.of(100, 10));

        NodeOutput end = thread.resumeInvoke(Map.of()).block();

        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(300, 30));
        assertThat(end.runUsage().isComplete()).isTrue();
        assertThat(end.runUsage().byNode()).containsOnlyKeys("first", "second");
        assertThat(end.state().<Message>list(Graphs.ANSWERS))
                .hasOnlyElementsOfType(AssistantMessage.class)
                .extracting(Message::getText)
                .containsExactly("one", "two");
    }

    @Test
    @DisplayName("and died in is resumed here, and says that what it used last is not known")
    void diedThere() throws IOException, InterruptedException {
        assertThat(runOther(DIES)).isEqualTo(7);
        GraphThread thread = graph(saver(directory), false).thread("t");
        assertThat(thread.last().block().status()).isEqualTo(Status.RUNNING);

        NodeOutput end = thread.resumeInvoke(Map.of()).block();
        if (!end.isEnd()) {
            end = thread.resumeInvoke(Map.of()).block();
        }

        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(300, 30));
        assertThat(end.runUsage().isComplete()).isFalse();
    }
}
