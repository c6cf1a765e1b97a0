package io.fluxtally.cli;

import io.fluxtally.conformance.record.RecordedFile;
import io.fluxtally.conformance.record.Recorder;
import io.fluxtally.conformance.scenario.Client;
import java.io.PrintWriter;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code ./fluxtally record}: a proxy before a provider that writes what passes as scenario files, without what was said. */
@Command(
        name = "record",
        mixinStandardHelpOptions = true,
        description = {
            "Stands between an app and a model provider, on this machine only, until it is ended with Ctrl-C, and writes a",
            "scenario file for each run: a request and those that follow upon its calls of tools. Give the app the printed",
            "URL as its base URL; requests under URL/run/NAME go into files of that name.",
            "Everything passes unchanged. No request and no key is written, and of the answers no text, but its length."
        })
final class RecordCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Option(
            names = "--to",
            paramLabel = "BASE_URL",
            required = true,
            description = "The provider's base URL, as the app has it now.",
            converter = UrlConverter.class)
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private URI to;

    @Option(names = "--port", paramLabel = "PORT", description = "The port to listen on; any free one unless given.")
    private int port;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "The folder to write to; the current one unless given. No file that is there is overwritten.")
    private Path out = Path.of("");

    @Option(
            names = "--client",
            paramLabel = "CLIENT",
            description =
                    "The client that is to replay the files: ${COMPLETION-CANDIDATES}; found by the protocol unless given.",
            completionCandidates = ClientWords.class,
            converter = ClientConverter.class)
    private @Nullable Client client;

    @Option(
            names = "--name",
            paramLabel = "NAME",
            description = "The name of runs that come without one; ${DEFAULT-VALUE} unless given.",
            defaultValue = "recorded")
    private String name = "recorded";

    private RecordCommand() {}

    /** Reads a URL, and repeats none that is wrong: it may have a key in it. */
    static final class UrlConverter implements CommandLine.ITypeConverter<URI> {

        @Override
        public URI convert(String url) {
            try {
                return new URI(url);
            } catch (URISyntaxException wrong) {
                throw new CommandLine.TypeConversionException("not a URL at its character " + (wrong.getIndex() + 1));
            }
        }
    }

    /** The clients' names. */
    static final class ClientWords extends ArrayList<String> {

        private static final long serialVersionUID = 1L;

        ClientWords() {
            super(Stream.of(Client.values()).map(Client::word).toList());
        }
    }

    /** Finds a client by its name. */
    static final class ClientConverter implements CommandLine.ITypeConverter<Client> {

        @Override
        public Client convert(String word) {
            return Stream.of(Client.values())
                    .filter(client -> client.word().equals(word))
                    .findFirst()
                    .orElseThrow(() -> new CommandLine.TypeConversionException("client must be one of %s, but is \"%s\""
                            .formatted(String.join(", ", new ClientWords()), word)));
        }
    }

    @Override
    public Integer call() {
        PrintWriter err = spec.commandLine().getErr();
        // A folder that is missing is made when there is something to write; later nobody may look at what is said.
        Path folder = out.toAbsolutePath();
        if (Files.exists(folder) && !(Files.isDirectory(folder) && Files.isWritable(folder))) {
            throw new ParameterException(
                    spec.commandLine(), "--out must be a folder to write to, but " + out + " is none");
        }
        Recorder.Builder builder;
        try {
            builder = Recorder.builder(to, out)
                    .port(port)
                    .name(name)
                    .client(client)
                    .onProblem(problem -> err.printf("fluxtally: %s%n", problem));
        } catch (IllegalArgumentException wrong) {
            throw new ParameterException(spec.commandLine(), wrong.getMessage());
        }
        Recorder recorder = builder.start();
        // Ctrl-C ends the JVM, which runs this first.
        Thread ending = new Thread(() -> end(recorder), "fluxtally-record-end");
        Runtime.getRuntime().addShutdownHook(ending);
        PrintWriter screen = spec.commandLine().getOut();
        screen.printf("%s -> %s, until Ctrl-C%n", recorder.baseUrl(), to);
        screen.flush();
        try {
            new CountDownLatch(1).await();
        } catch (InterruptedException ended) {
            Runtime.getRuntime().removeShutdownHook(ending);
            end(recorder);
        }
        return 0;
    }

    private void end(Recorder recorder) {
        recorder.close();
        PrintWriter screen = spec.commandLine().getOut();
        Collection<RecordedFile> files = recorder.files();
        screen.println();
        if (files.isEmpty()) {
            screen.println("nothing was recorded");
        } else {
            new UsageTable(screen).printFiles(List.copyOf(files));
        }
        screen.flush();
    }
}
