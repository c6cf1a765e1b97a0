package io.fluxtally.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** A Java virtual machine of its own, so that what it spends is what the code under test spends. Not safe for use by several threads. */
public final class ChildJvm implements AutoCloseable {

    private static final String PATH = Objects.requireNonNull(System.getProperty("java.class.path"), "class path");
    private static final String JAVA = Path.of(
                    Objects.requireNonNull(System.getProperty("java.home"), "java.home"), "bin", "java")
            .toString();

    private final Process process;
    private final BufferedReader out;

    private ChildJvm(Process process) {
        this.process = process;
        this.out = process.inputReader(StandardCharsets.UTF_8);
    }

    /**
     * Starts the main method of a class, with a gibibyte of heap and further options for the machine from the property
     * {@code benchmarks.jvm}.
     *
     * @throws IOException if it cannot be started
     */
    public static ChildJvm start(Class<?> main, String... arguments) throws IOException {
        // What the machine itself has to say is not to be taken for what the program says.
        List<String> command =
                new ArrayList<>(List.of(JAVA, "-Xms1g", "-Xmx1g", "-Xlog:disable", "-Xlog:all=warning:stderr"));
        String options = System.getProperty("benchmarks.jvm", "");
        command.addAll(options.isBlank() ? List.of() : List.of(options.split(" ")));
        command.addAll(List.of("-cp", PATH, main.getName()));
        command.addAll(List.of(arguments));
        return new ChildJvm(new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start());
    }

    /**
     * The next line it writes.
     *
     * @throws IOException if it has ended, or cannot be read
     */
    public String read() throws IOException {
        String line = out.readLine();
        if (line == null) {
            process.onExit().join();
            throw new IOException("the measured process ended early; what it said is above");
        }
        return line;
    }

    /**
     * Writes a line for it to read.
     *
     * @throws IOException if it has ended
     */
    public void write(String line) throws IOException {
        OutputStream in = process.getOutputStream();
        in.write((line + '\n').getBytes(StandardCharsets.UTF_8));
        in.flush();
    }

    @Override
    public void close() {
        process.destroy();
        process.onExit().join();
    }
}
