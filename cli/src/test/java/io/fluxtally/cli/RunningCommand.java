package io.fluxtally.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;

/** A command that runs until it is stopped, and says first where it listens. */
final class RunningCommand {

    private final CompletableFuture<String> firstLine = new CompletableFuture<>();
    private final CompletableFuture<Integer> status = new CompletableFuture<>();
    private final StringWriter out = new StringWriter() {
        @Override
        public void flush() {
            toString().lines().findFirst().ifPresent(firstLine::complete);
        }
    };
    private final StringWriter err = new StringWriter();
    private final Thread thread;

    RunningCommand(String... args) {
        CommandLine commandLine = Fluxtally.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err, true));
        thread = new Thread(() -> status.complete(commandLine.execute(args)));
        thread.start();
    }

    String baseUrl() throws Exception {
        return firstLine.get(30, TimeUnit.SECONDS).split(" ")[0];
    }

    /** Stops it, as Ctrl-C does but for the end of the JVM. */
    CommandRun stop() throws Exception {
        thread.interrupt();
        int ended = status.get(30, TimeUnit.SECONDS);
        return new CommandRun(ended, out.toString(), err.toString());
    }
}
