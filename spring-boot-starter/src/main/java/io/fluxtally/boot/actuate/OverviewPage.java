package io.fluxtally.boot.actuate;

import io.fluxtally.boot.runs.RunOverview;
import io.fluxtally.boot.runs.RunRecord;
import io.fluxtally.usage.UsageSum;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** The list of runs as a page. */
final class OverviewPage {

    private final Overview overview;
    private final Links links;

    OverviewPage(Overview overview, Links links) {
        this.overview = overview;
        this.links = links;
    }

    String html() {
        return Page.of("Runs", this::write);
    }

    private void write(Page page) {
        Html html = page.html();
        RunOverview remembered = overview.remembered();
        Doubts doubts = Doubts.of(0, remembered.bySource());
        html.element("h1").text("Runs");
        html.element("p").with("class", "facts").text(facts());
        html.element("section").with("aria-labelledby", "totals").holding(() -> {
            html.element("h2").with("id", "totals").text("All runs that are remembered");
            page.verdict(
                    doubts.none(),
                    doubts.none() ? "Exact." : "Incomplete.",
                    doubts.none()
                            ? "Every request that was booked has the provider's final figure."
                            : "The totals may differ from the bill:",
                    Words.doubts(doubts));
            page.tiles(remembered.sum(), doubts);
        });
        html.element("section").with("aria-labelledby", "runs").holding(() -> {
            html.element("h2").with("id", "runs").text("Newest first");
            if (remembered.runs().isEmpty()) {
                html.element("p").text("No run is remembered.");
            } else {
                page.scrolling("runs", () -> runs(page));
            }
            if (remembered.omitted() > 0) {
                html.element("p")
                        .text(Words.count(remembered.omitted(), "older run")
                                + " not shown (fluxtally.endpoint.max-runs).");
            }
        });
        page.sums(doubts, remembered.byModel(), remembered.byAgent(), remembered.bySource());
        html.element("section").with("aria-labelledby", "process").holding(() -> {
            html.element("h2").with("id", "process").text("Since the app was started");
            UsageSum process = overview.process();
            page.tiles(process, new Doubts(0, 0, process.unreported(), 0));
            html.element("p")
                    .text(
                            overview.unattributed() == 0
                                    ? "Every request belonged to a run."
                                    : Words.count(overview.unattributed(), "request")
                                            + " belonged to no run: in these totals alone.");
        });
    }

    private String facts() {
        List<String> facts = new ArrayList<>();
        RunOverview remembered = overview.remembered();
        facts.add(Words.count(remembered.runs().size() + remembered.omitted(), "run") + " remembered");
        facts.add(Words.number(remembered.open()) + " open");
        facts.add(Words.number(remembered.evicted()) + " never closed and given up");
        return String.join(" · ", facts);
    }

    private void runs(Page page) {
        Html html = page.html();
        html.element("table").with("class", "runs").holding(() -> {
            html.element("thead")
                    .holding(() -> html.element("tr").holding(() -> {
                        for (String column : List.of("Run", "State", "Start", "Took", "Figures")) {
                            html.element("th").with("scope", "col").text(column);
                        }
                        for (String column : Page.SUM_COLUMNS) {
                            html.element("th")
                                    .with("scope", "col")
                                    .with("class", "n")
                                    .text(column);
                        }
                    }));
            html.element("tbody")
                    .holding(() -> overview.remembered()
                            .runs()
                            .forEach(run -> html.element("tr").holding(() -> row(page, run))));
        });
    }

    private void row(Page page, RunRecord run) {
        Html html = page.html();
        html.element("th").with("scope", "row").holding(() -> {
            String link = links.toRun(run.runId());
            if (link == null) {
                html.name(run.runId());
            } else {
                html.element("a").with("href", link).name(run.runId());
            }
        });
        html.element("td").text(Words.of(run.state()));
        html.element("td")
                .holding(
                        () -> html.element("time").with("datetime", run.start()).text(Words.time(run.start())));
        html.element("td")
                .text(run.end() == null ? Words.NONE : Words.duration(Duration.between(run.start(), run.end())));
        html.element("td")
                .holding(() -> html.element("span")
                        .with("class", run.isComplete() ? "badge exact" : "badge")
                        .text(run.isComplete() ? "exact" : Doubts.of(run).none() ? "as seen" : "incomplete"));
        page.sumCells(run.sum(), Doubts.of(run));
    }
}
