package io.fluxtally.cli;

import java.io.PrintWriter;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * The launcher's main class. A command is a {@code Callable<Integer>} with picocli's annotations; to add one, name it
 * among the subcommands here.
 */
@Command(
        name = "fluxtally",
        mixinStandardHelpOptions = true,
        version = "fluxtally 0.1.0-SNAPSHOT",
        description = "Makes the tokens that an agent app reads equal to the tokens that it pays for.",
        subcommands = {
            DemoCommand.class,
            ReplayCommand.class,
            RecordCommand.class,
            CaptureCommand.class,
            CostCommand.class,
            BackfillCommand.class,
            ReconcileCommand.class,
            VerifyCommand.class
        })
public final class Fluxtally implements Runnable {

    /** The exit status of a command that could not do its work. */
    static final int FAILED = 1;

    /** The exit status of a command whose input is not what it must be. */
    static final int BAD_INPUT = 2;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    private Fluxtally() {}

    /** Runs the command that the arguments name, and exits with its status. */
    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    /** The command line, ready to execute; an error is one line on standard error. */
    static CommandLine commandLine() {
        CommandLine commandLine = new CommandLine(new Fluxtally());
        commandLine.setCaseInsensitiveEnumValuesAllowed(true);
        commandLine.setParameterExceptionHandler((error, args) -> {
            PrintWriter err = error.getCommandLine().getErr();
            err.printf(
                    "fluxtally: %s (try: %s --help)%n",
                    firstLine(error.getMessage()),
                    error.getCommandLine().getCommandSpec().qualifiedName());
            return CommandLine.ExitCode.USAGE;
        });
        commandLine.setExecutionExceptionHandler((error, command, parsed) -> {
            Throwable cause =
                    error instanceof ExecutionException && error.getCause() != null ? error.getCause() : error;
            command.getErr().printf("fluxtally: %s%n", firstLineOf(cause));
            return FAILED;
        });
        return commandLine;
    }

    /** What an error says, in one line. */
    static String firstLineOf(Throwable error) {
        return firstLine(error.getMessage() == null ? error.toString() : error.getMessage());
    }

    private static String firstLine(@Nullable String text) {
        return text == null ? "no reason is known" : text.lines().findFirst().orElse("");
    }

    /** Without a command there is nothing to do. */
    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "a command is missing");
    }
}
