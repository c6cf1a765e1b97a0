package io.fluxtally.boot.actuate;

import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** What the pages have in common. */
final class Page {

    private final Html html = new Html();

    /** A page with a title of its own, and what is written meanwhile as its content. */
    static String of(String title, Consumer<Page> content) {
        Page page = new Page();
        Html html = page.html;
        html.element("html").with("lang", "en").holding(() -> {
            html.element("head").holding(() -> {
                html.element("meta").with("charset", "utf-8").alone();
                html.element("meta")
                        .with("http-equiv", "Content-Security-Policy")
                        .with("content", StyleSheet.POLICY)
                        .alone();
                html.element("meta")
                        .with("name", "viewport")
                        .with("content", "width=device-width, initial-scale=1")
                        .alone();
                html.element("meta")
                        .with("name", "referrer")
                        .with("content", "no-referrer")
                        .alone();
                html.element("title").text(title + " – Fluxtally");
                html.style(StyleSheet.CSS);
            });
            html.element("body").holding(() -> html.element("main").holding(() -> content.accept(page)));
        });
        return html.toString();
    }

    Html html() {
        return html;
    }

    /** Whether the figures are exact, and what there is to say of that. */
    void verdict(boolean exact, String verdict, String inWords, List<String> notes) {
        html.element("div").with("class", exact ? "verdict exact" : "verdict").holding(() -> {
            html.element("p").holding(() -> {
                html.element("strong").text(verdict);
                html.text(" " + inWords);
            });
            if (!notes.isEmpty()) {
                html.element("ul")
                        .holding(() -> notes.forEach(note -> html.element("li").text(note)));
            }
        });
    }

    /** A sum at a glance. */
    void tiles(UsageSum sum, Doubts doubts) {
        html.element("dl").with("class", "tiles").holding(() -> {
            tile("Requests", "requests", Words.number(sum.requests()));
            tile("Input", "input_tokens", Words.figure(sum, doubts, sum.total().inputTokens()));
            tile(
                    Words.of(TokenPart.CACHE_READ_INPUT),
                    TokenPart.CACHE_READ_INPUT.key(),
                    Words.part(sum, doubts, TokenPart.CACHE_READ_INPUT));
            tile(
                    "Output",
                    "output_tokens",
                    Words.figure(sum, doubts, sum.total().outputTokens()));
            tile(
                    Words.of(TokenPart.REASONING_OUTPUT),
                    TokenPart.REASONING_OUTPUT.key(),
                    Words.part(sum, doubts, TokenPart.REASONING_OUTPUT));
            tile("Total", "total_tokens", Words.figure(sum, doubts, sum.total().totalTokens()));
        });
    }

    private void tile(String label, String name, String value) {
        html.element("div").holding(() -> {
            html.element("dt").text(label);
            html.element("dd").with("class", name).text(value);
        });
    }

    /** The same requests added up in three ways. */
    void sums(
            Doubts doubts,
            Map<String, UsageSum> byModel,
            Map<String, UsageSum> byAgent,
            Map<String, UsageSum> bySource) {
        sums("By model", "Model", "by-model", doubts, byModel);
        sums("By agent", "Agent", "by-agent", doubts, byAgent);
        Map<String, UsageSum> inWords = new LinkedHashMap<>();
        bySource.forEach((source, sum) -> inWords.put(Words.of(UsageSource.valueOf(source)), sum));
        sums("By source of the figure", "Source", "by-source", doubts, inWords);
    }

    private void sums(String title, String key, String id, Doubts doubts, Map<String, UsageSum> sums) {
        if (sums.isEmpty()) {
            return;
        }
        html.element("section").with("aria-labelledby", id).holding(() -> {
            html.element("h2").with("id", id).text(title);
            scrolling(
                    id,
                    () -> html.element("table").holding(() -> {
                        html.element("thead")
                                .holding(() -> html.element("tr").holding(() -> {
                                    html.element("th").with("scope", "col").text(key);
                                    for (String column : SUM_COLUMNS) {
                                        html.element("th")
                                                .with("scope", "col")
                                                .with("class", "n")
                                                .text(column);
                                    }
                                }));
                        html.element("tbody")
                                .holding(() -> sums.forEach((name, sum) -> html.element("tr")
                                        .holding(() -> {
                                            html.element("th")
                                                    .with("scope", "row")
                                                    .name(name);
                                            sumCells(sum, doubts);
                                        })));
                    }));
        });
    }

    /** The columns of {@link #sumCells}. */
    static final List<String> SUM_COLUMNS = List.of(
            "Requests",
            "Input",
            Words.of(TokenPart.CACHE_READ_INPUT),
            "Output",
            Words.of(TokenPart.REASONING_OUTPUT),
            "Total");

    void sumCells(UsageSum sum, Doubts doubts) {
        number(Words.number(sum.requests()));
        number(Words.figure(sum, doubts, sum.total().inputTokens()));
        number(Words.part(sum, doubts, TokenPart.CACHE_READ_INPUT));
        number(Words.figure(sum, doubts, sum.total().outputTokens()));
        number(Words.part(sum, doubts, TokenPart.REASONING_OUTPUT));
        number(Words.figure(sum, doubts, sum.total().totalTokens()));
    }

    void number(String value) {
        html.element("td").with("class", "n").text(value);
    }

    /** A table that may be wider than the window, and can be moved by keyboard then. */
    void scrolling(String labelledBy, Runnable table) {
        html.element("div")
                .with("class", "scrolling")
                .with("role", "region")
                .with("tabindex", 0)
                .with("aria-labelledby", labelledBy)
                .holding(table);
    }
}
