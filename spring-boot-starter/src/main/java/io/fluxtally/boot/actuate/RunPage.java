package io.fluxtally.boot.actuate;

import io.fluxtally.boot.runs.RunRecord;
import io.fluxtally.boot.runs.RunState;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** One run as a page: its totals, its requests over time, and all their figures as a table. */
final class RunPage {

    private final Links links;

    RunPage(Links links) {
        this.links = links;
    }

    /** The page of a run that is not remembered. */
    String unknown(String runId) {
        return Page.of("Run not remembered", page -> {
            Html html = page.html();
            heading(html, runId);
            html.element("p")
                    .text("This run is not remembered: it is too long ago, or it made no request, or the id is wrong.");
        });
    }

    String html(RunRecord run) {
        return Page.of("Run " + run.runId(), page -> write(page, run));
    }

    private void heading(Html html, String runId) {
        html.element("nav")
                .holding(() -> html.element("a").with("href", links.toRuns()).text("All runs"));
        html.element("h1").holding(() -> html.text("Run ").name(runId));
    }

    private void write(Page page, RunRecord run) {
        Html html = page.html();
        heading(html, run.runId());
        html.element("p").with("class", "facts").holding(() -> facts(html, run));
        Doubts doubts = Doubts.of(run);
        verdict(page, run);
        page.tiles(run.sum(), doubts);
        List<RequestUsage> requests = run.requests();
        if (!requests.isEmpty()) {
            RunTree tree = RunTree.of(requests);
            html.element("section")
                    .with("aria-labelledby", "waterfall")
                    .holding(() -> new Waterfall(html, run).write(tree));
            html.element("section").with("aria-labelledby", "figures").holding(() -> {
                html.element("h2").with("id", "figures").text("All figures");
                page.scrolling("figures", () -> figures(page, run, doubts));
            });
        }
        page.sums(doubts, run.byModel(), run.byAgent(), run.bySource());
    }

    private static void verdict(Page page, RunRecord run) {
        boolean asSeen = Doubts.of(run).none();
        String verdict = !asSeen
                ? "Incomplete."
                : !run.wholeSeen()
                        ? "Exact as far as it was seen."
                        : run.state() == RunState.OPEN ? "Exact so far." : "Exact.";
        String inWords = !asSeen
                ? "The totals may differ from the bill:"
                : run.sum().requests() == 0 ? "No request was made." : "Every request has the provider's final figure.";
        page.verdict(run.isComplete(), verdict, inWords, Words.notes(run));
    }

    private static void facts(Html html, RunRecord run) {
        html.text(Words.of(run.state()) + " · started ");
        html.element("time").with("datetime", run.start()).text(Words.time(run.start()));
        if (run.end() != null) {
            html.text(" · took " + Words.duration(Duration.between(run.start(), run.end())));
        }
    }

    /** A column of the table of all figures. */
    private record Column(String title, @Nullable String style, Consumer<RequestUsage> cell) {}

    private static void figures(Page page, RunRecord run, Doubts doubts) {
        Html html = page.html();
        List<TokenPart> input = parts(run, TokenPart.Side.INPUT);
        List<TokenPart> output = parts(run, TokenPart.Side.OUTPUT);
        List<Column> before = columnsBefore(html, run);
        List<Column> tokens = new ArrayList<>();
        tokens.add(tokens(page, "Input", TokenUsage::inputTokens));
        input.forEach(part -> tokens.add(part(page, part)));
        tokens.add(tokens(page, "Output", TokenUsage::outputTokens));
        output.forEach(part -> tokens.add(part(page, part)));
        tokens.add(tokens(page, "Total", TokenUsage::totalTokens));
        List<Column> after = columnsAfter(page, run);
        List<Column> columns =
                Stream.of(before, tokens, after).flatMap(List::stream).toList();
        html.element("table").with("class", "figures").holding(() -> {
            html.element("thead")
                    .holding(() -> html.element("tr").holding(() -> {
                        html.element("th").with("scope", "col").text("#");
                        columns.forEach(column -> html.element("th")
                                .with("scope", "col")
                                .with("class", column.style())
                                .text(column.title()));
                    }));
            html.element("tbody").holding(() -> {
                for (int i = 0; i < run.requests().size(); i++) {
                    int number = i + 1;
                    RequestUsage request = run.requests().get(i);
                    html.element("tr").holding(() -> {
                        html.element("th").with("scope", "row").text(Words.number(number));
                        columns.forEach(column -> column.cell().accept(request));
                    });
                }
            });
            html.element("tfoot")
                    .holding(() -> html.element("tr").holding(() -> {
                        html.element("th")
                                .with("scope", "row")
                                .with("colspan", before.size() + 1)
                                .text(
                                        run.omitted() == 0
                                                ? "The run"
                                                : "The run, with " + Words.count(run.omitted(), "more request"));
                        UsageSum sum = run.sum();
                        page.number(Words.figure(sum, doubts, sum.total().inputTokens()));
                        input.forEach(part -> page.number(Words.part(sum, doubts, part)));
                        page.number(Words.figure(sum, doubts, sum.total().outputTokens()));
                        output.forEach(part -> page.number(Words.part(sum, doubts, part)));
                        page.number(Words.figure(sum, doubts, sum.total().totalTokens()));
                        html.element("td").with("colspan", after.size()).text("");
                    }));
        });
    }

    /** What a request was made for; a column that would be empty is left out. */
    private static List<Column> columnsBefore(Html html, RunRecord run) {
        List<Column> columns = new ArrayList<>();
        if (any(run, RequestUsage::agent)) {
            columns.add(new Column("Agent", null, request -> name(html, request.agent())));
        }
        if (any(run, RequestUsage::node)) {
            columns.add(new Column("Node", null, request -> name(html, request.node())));
        }
        if (any(run, RequestUsage::callId)) {
            Ordinals calls = new Ordinals();
            columns.add(new Column("Call", null, request -> cell(html, calls.of(request.callId()))));
        }
        if (any(run, RequestUsage::round)) {
            columns.add(new Column(
                    "Round",
                    null,
                    request -> cell(html, request.round() == null ? Words.NONE : Words.number(request.round()))));
        }
        columns.add(new Column("Attempt", null, request -> cell(html, Words.number(request.attempt()))));
        columns.add(new Column("Model", null, request -> name(html, request.model())));
        return columns;
    }

    /** How a request went. */
    private static List<Column> columnsAfter(Page page, RunRecord run) {
        Html html = page.html();
        List<Column> columns = new ArrayList<>();
        columns.add(new Column("Source", null, request -> cell(html, Words.of(request.source()))));
        columns.add(new Column("Outcome", null, request -> cell(html, Words.of(request.outcome()))));
        columns.add(duration(page, "Sent after", request -> Duration.between(run.start(), request.start())));
        columns.add(duration(page, "First chunk after", RequestUsage::timeToFirstChunk));
        columns.add(duration(page, "Took", RequestUsage::duration));
        if (any(run, request -> request.labels().isEmpty() ? null : request.labels())) {
            columns.add(new Column(
                    "Labels", null, request -> html.element("td").holding(() -> labels(html, request.labels()))));
        }
        return columns;
    }

    private static boolean any(RunRecord run, Function<RequestUsage, @Nullable Object> fact) {
        return run.requests().stream().anyMatch(request -> fact.apply(request) != null);
    }

    private static Column tokens(Page page, String title, ToLongFunction<TokenUsage> count) {
        return new Column(title, "n", request -> {
            TokenUsage usage = request.usage();
            page.number(Words.figure(request, usage == null ? 0 : count.applyAsLong(usage)));
        });
    }

    private static Column part(Page page, TokenPart part) {
        return new Column(Words.of(part), "n part", request -> page.number(Words.part(request, part)));
    }

    private static Column duration(Page page, String title, Function<RequestUsage, @Nullable Duration> fact) {
        return new Column(title, "n", request -> {
            Duration duration = fact.apply(request);
            page.number(duration == null ? Words.NONE : Words.duration(duration));
        });
    }

    private static List<TokenPart> parts(RunRecord run, TokenPart.Side side) {
        return Arrays.stream(TokenPart.values())
                .filter(part -> part.side() == side && run.sum().reportedBy(part) > 0)
                .toList();
    }

    private static void cell(Html html, String text) {
        html.element("td").text(text);
    }

    private static void name(Html html, @Nullable String name) {
        if (name == null) {
            cell(html, Words.NONE);
        } else {
            html.element("td").name(name);
        }
    }

    private static void labels(Html html, Map<String, String> labels) {
        labels.forEach((name, value) -> html.element("span")
                .with("class", "label")
                .holding(() -> html.name(name).text(": ").name(value)));
    }

    /** Calls by number, in the order in which they are first met: their ids are long, and say nothing. */
    static final class Ordinals {

        private final List<String> ids = new ArrayList<>();

        String of(@Nullable String id) {
            if (id == null) {
                return Words.NONE;
            }
            if (!ids.contains(id)) {
                ids.add(id);
            }
            return Words.number(ids.indexOf(id) + 1L);
        }
    }
}
