package io.fluxtally.conformance.record;

import io.fluxtally.conformance.proxy.PassageEnd;
import io.fluxtally.conformance.scenario.Client;
import io.fluxtally.conformance.scenario.Family;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.WireTap;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Sorts the exchanges of each name into runs and writes those.
 *
 * <p>Exchanges are taken in the order in which they began, each when it and all before it of the same name have ended, so that what
 * is written does not depend on which ended first. None of its methods throws. Thread-safe.
 */
final class Journal {

    private final Path folder;
    private final @Nullable Client client;
    private final Consumer<String> problems;
    private final WireTap tap =
            WireTap.builder().recorder(UsageRecorder.withSinks()).build();

    private final Map<String, Deque<Exchange>> underWay = new LinkedHashMap<>();
    private final Map<String, List<RecordedRun>> openRuns = new LinkedHashMap<>();
    private final Map<Path, RecordedFile> files = new LinkedHashMap<>();
    private final Set<Path> taken = new HashSet<>();
    private final Set<String> told = new HashSet<>();

    Journal(Path folder, @Nullable Client client, Consumer<String> problems) {
        this.folder = folder;
        this.client = client;
        this.problems = problems;
    }

    /** An exchange begins. */
    void begin(String name, Exchange exchange) {
        synchronized (underWay) {
            underWay.computeIfAbsent(name, unknown -> new ArrayDeque<>()).add(exchange);
        }
    }

    /** Takes what has ended; called after each end, and slow. */
    synchronized void takeEnded(String name) {
        for (Exchange next = nextEnded(name); next != null; next = nextEnded(name)) {
            try {
                take(name, next);
            } catch (Throwable failure) {
                tell("a response is in no file, since recording it failed with "
                        + failure.getClass().getName());
            }
        }
    }

    private @Nullable Exchange nextEnded(String name) {
        synchronized (underWay) {
            Deque<Exchange> exchanges = underWay.get(name);
            if (exchanges == null || exchanges.isEmpty()) {
                underWay.remove(name);
                return null;
            }
            return exchanges.peek().end() == null ? null : exchanges.poll();
        }
    }

    /** The files so far, in the order in which they were begun. */
    synchronized Collection<RecordedFile> files() {
        return List.copyOf(files.values());
    }

    /** Tells a problem, each only once. It must name nothing that passed. */
    void tell(String problem) {
        synchronized (told) {
            if (!told.add(problem)) {
                return;
            }
        }
        problems.accept(problem);
    }

    private void take(String name, Exchange exchange) {
        if (exchange.end() == PassageEnd.NOT_SENT || !exchange.head().method().equals("POST")) {
            return;
        }
        String text;
        try {
            text = exchange.takeText();
        } catch (IOException e) {
            tell("a response is in no file: " + e.getMessage());
            return;
        }
        RequestUsage usage = usage(exchange, text);
        if (usage == null) {
            tell("a response is in no file, since it is none of a model in a protocol that is known here");
            return;
        }
        Family family = family(exchange, usage);
        Client replaying = family == null ? null : client(family);
        if (family == null || replaying == null) {
            tell("a response is in no file, since there is no client here to replay its protocol");
            return;
        }
        List<RecordedRun> open = openRuns.computeIfAbsent(name, unknown -> new ArrayList<>());
        RecordedRun run = open.stream()
                .filter(candidate -> candidate.isContinuedBy(exchange, family))
                .findFirst()
                .orElseGet(() -> new RecordedRun(newFile(name), family, replaying, exchange.mode()));
        open.remove(run);
        try {
            run.add(exchange, text, usage);
        } catch (IOException e) {
            tell("a response is in no file: " + e.getMessage());
            return;
        }
        if (run.isOpen()) {
            open.add(run);
        }
        try {
            RecordedFile file = run.write();
            files.put(file.path(), file);
        } catch (IOException e) {
            // Its message is the path; the reason is the type.
            tell("cannot write to " + folder + ": " + e);
        }
    }

    /** What the wire tap reads of a response; null when it is none of a model. */
    private @Nullable RequestUsage usage(Exchange exchange, String text) {
        RunScope run = RunScope.start();
        WireRequest wire = tap.open(exchange.head(), run);
        if (wire == null) {
            return null;
        }
        if (exchange.status() != 0) {
            wire.responded(exchange.status(), exchange.mediaType(), null);
            wire.body(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
        }
        if (exchange.end() == PassageEnd.COMPLETE) {
            wire.completed();
        } else if (exchange.end() == PassageEnd.CLIENT_LEFT) {
            wire.cancelled();
        } else {
            wire.failed();
        }
        return run.usage().requests().stream().findFirst().orElse(null);
    }

    private static @Nullable Family family(Exchange exchange, RequestUsage usage) {
        String provider = usage.provider();
        // OpenAI's responses go by the name of its chat completions, and are another protocol.
        if (provider == null || exchange.head().path().endsWith("/responses")) {
            return null;
        }
        return Arrays.stream(Family.values())
                .filter(family -> family.name().equalsIgnoreCase(provider))
                .findFirst()
                .orElse(null);
    }

    private @Nullable Client client(Family family) {
        if (family == Family.GEMINI) {
            return null;
        }
        return client == null ? Client.valueOf(family.name()) : client;
    }

    /** The first free one of NAME.yaml, NAME-2.yaml and so on: what is there already stays. */
    private Path newFile(String name) {
        for (int number = 1; ; number++) {
            Path file = folder.resolve(number == 1 ? name + ".yaml" : name + "-" + number + ".yaml");
            if (!Files.exists(file) && taken.add(file)) {
                return file;
            }
        }
    }
}
