package io.fluxtally.conformance.record;

import io.fluxtally.conformance.proxy.PassageEnd;
import io.fluxtally.conformance.scenario.Bill;
import io.fluxtally.conformance.scenario.BilledRequest;
import io.fluxtally.conformance.scenario.Client;
import io.fluxtally.conformance.scenario.End;
import io.fluxtally.conformance.scenario.Family;
import io.fluxtally.conformance.scenario.Figures;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.ScenarioWriter;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import java.io.IOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * One scenario in the making: requests of which each but the last was answered with calls of tools, or was a call that failed and
 * was made again, as clients do on errors of a server. That is as much as a replay asks for of its own accord. Not thread-safe.
 */
final class RecordedRun {

    private static final List<String> COMMENT = List.of(
            "Recorded by fluxtally record. Of what was said only the length is here; ids, model names and figures are the provider's.",
            "What stands under \"billed\" is what the provider reported on the wire. Put in what the bill says, if you know it.");

    /** What all bodies of a file may have together; half of what a file may have, since a character can take three bytes. */
    private static final long LONGEST = 20L * 1024 * 1024;

    private static final String EVENTS = "text/event-stream";

    private final Path file;
    private final String name;
    private final Family family;
    private final Client client;
    private final Mode mode;
    private final Map<String, String> toolNames = new LinkedHashMap<>();
    private final List<Response> responses = new ArrayList<>();
    private final RunTally tally = new RunTally();
    private long length;
    private @Nullable Exchange waitsAfter;

    /** A call that failed and that a client may make again by itself. */
    private @Nullable Exchange failedCall;

    RecordedRun(Path file, Family family, Client client, @Nullable Mode mode) {
        this.file = file;
        this.name = file.getFileName().toString().replaceFirst("\\.yaml$", "");
        this.family = family;
        this.client = client;
        this.mode = mode == null ? Mode.CALL : mode;
    }

    /** Whether this exchange is the next round, or the last one once more. */
    boolean isContinuedBy(Exchange exchange, Family itsFamily) {
        Mode itsMode = exchange.mode();
        return family == itsFamily
                && (itsMode == null || mode == itsMode)
                && (isNextRound(exchange) || isRetry(exchange));
    }

    /** The last one ended with calls of tools, and came before it. */
    private boolean isNextRound(Exchange exchange) {
        return waitsAfter != null && exchange.cameAfter(waitsAfter);
    }

    /** The last one failed, and it asks the very same. */
    private boolean isRetry(Exchange exchange) {
        return failedCall != null
                && exchange.cameAfter(failedCall)
                && exchange.question().isRepeatedBy(failedCall.question());
    }

    /** Whether more may come: an answer to its tools, or another try. */
    boolean isOpen() {
        return waitsAfter != null || failedCall != null;
    }

    /**
     * Takes an exchange that ended.
     *
     * @throws IOException if the file would become too long
     */
    void add(Exchange exchange, String text, RequestUsage usage) throws IOException {
        boolean[] callsTool = {false};
        String body = BodyRedactor.redact(text, exchange.mediaType(), tool -> {
            callsTool[0] = true;
            return toolNames.computeIfAbsent(tool, unknown -> "tool_" + (toolNames.size() + 1));
        });
        if (length + body.length() > LONGEST) {
            throw new IOException("its file would be too long");
        }
        length += body.length();
        Map<String, String> headers = new LinkedHashMap<>();
        boolean events = mode == Mode.STREAM && exchange.status() < 400;
        if (exchange.status() != 0 && !exchange.mediaType().equals(events ? EVENTS : "application/json")) {
            headers.put("content-type", exchange.mediaType());
        }
        String requestId = exchange.requestId();
        if (requestId != null && Filler.isId(requestId)) {
            headers.put("x-request-id", requestId);
        }
        int status = exchange.status() == 0 ? 200 : exchange.status();
        responses.add(new Response(status, headers, body, end(exchange, usage)));
        tally.add(usage);
        waitsAfter = callsTool[0] ? exchange : null;
        failedCall = mode == Mode.CALL && exchange.status() >= 500 ? exchange : null;
    }

    /** What a provider has to do for a replay to come to the same end. */
    private End end(Exchange exchange, RequestUsage usage) {
        if (exchange.end() == PassageEnd.BROKEN) {
            return End.RESET;
        }
        // Many a client leaves when it has read all it wants, and that is no end before the end.
        if (exchange.end() != PassageEnd.CLIENT_LEFT || usage.outcome() != RequestOutcome.CANCELLED) {
            return End.COMPLETE;
        }
        // A client that waits for its one answer would wait forever.
        return mode == Mode.STREAM ? End.HANG : End.RESET;
    }

    /** Writes the file: whoever reads it sees all of the one before or all of this one, and it is for its owner alone. */
    RecordedFile write() throws IOException {
        UsageSum sum = tally.usage().sum();
        Bill bill = new Bill(
                sum.isComplete(),
                figures(sum.isUnknown() ? null : sum.total()),
                // Those that the provider refused are on no bill.
                tally.usage().requests().stream()
                        .filter(request -> request.outcome() != RequestOutcome.REJECTED)
                        .map(RecordedRun::billed)
                        .toList());
        Scenario scenario = new Scenario(
                name, family, client, mode, List.copyOf(toolNames.values()), Map.of(), null, responses, bill);
        Path folder = file.toAbsolutePath().getParent();
        Files.createDirectories(folder);
        Path written = Files.createTempFile(folder, "." + name, ".tmp");
        try {
            Files.writeString(written, ScenarioWriter.write(scenario, COMMENT));
            try {
                Files.move(written, file, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                Files.move(written, file, StandardCopyOption.REPLACE_EXISTING);
            }
        } finally {
            Files.deleteIfExists(written);
        }
        return new RecordedFile(file, sum);
    }

    private static BilledRequest billed(RequestUsage request) {
        String id = request.responseId();
        return new BilledRequest(id != null && Filler.isId(id) ? id : null, request.source(), figures(request.usage()));
    }

    private static Figures figures(@Nullable TokenUsage usage) {
        Map<TokenKey, OptionalLong> figures = new EnumMap<>(TokenKey.class);
        figures.put(TokenKey.INPUT_TOKENS, usage == null ? OptionalLong.empty() : OptionalLong.of(usage.inputTokens()));
        figures.put(
                TokenKey.OUTPUT_TOKENS, usage == null ? OptionalLong.empty() : OptionalLong.of(usage.outputTokens()));
        figures.put(TokenKey.TOTAL_TOKENS, usage == null ? OptionalLong.empty() : OptionalLong.of(usage.totalTokens()));
        if (usage != null) {
            for (TokenPart part : TokenPart.values()) {
                OptionalLong tokens = usage.part(part);
                if (tokens.isPresent()) {
                    figures.put(TokenKey.valueOf(part.key().toUpperCase(Locale.ROOT)), tokens);
                }
            }
        }
        return new Figures(figures);
    }
}
