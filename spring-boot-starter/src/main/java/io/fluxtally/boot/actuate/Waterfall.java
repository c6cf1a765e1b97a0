package io.fluxtally.boot.actuate;

import io.fluxtally.boot.runs.RunRecord;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The requests of a run, one row each: when it was under way, and what it used. Bars are drawn by attributes of SVG, since the
 * page's policy lets no element have a style of its own; each has its figures as a text beside it.
 */
final class Waterfall {

    private static final int BAR = 14;

    private final Html html;
    private final RunRecord run;
    private final RunPage.Ordinals calls = new RunPage.Ordinals();

    /** From the start of the run to the end of its last request. */
    private final Duration length;

    /** Input and output of the largest request, to which all bars of tokens are drawn. */
    private final double mostTokens;

    private final List<Duration> ticks;

    Waterfall(Html html, RunRecord run) {
        this.html = html;
        this.run = run;
        Duration longest = Duration.ofMillis(1);
        double most = 1;
        for (RequestUsage request : run.requests()) {
            Duration end = sentAfter(request).plus(request.duration());
            longest = end.compareTo(longest) > 0 ? end : longest;
            TokenUsage usage = request.usage();
            most = usage == null ? most : Math.max(most, (double) usage.inputTokens() + usage.outputTokens());
        }
        this.length = longest;
        this.mostTokens = most;
        this.ticks = ticks(longest);
    }

    private Duration sentAfter(RequestUsage request) {
        return Duration.between(run.start(), request.start());
    }

    /** Two to four round times, the last of which leaves room for its label. */
    private static List<Duration> ticks(Duration length) {
        double least = length.toNanos() / 4.0;
        double power = Math.pow(10, Math.floor(Math.log10(least)));
        double step = power * (least <= power ? 1 : least <= 2 * power ? 2 : least <= 5 * power ? 5 : 10);
        List<Duration> ticks = new ArrayList<>();
        for (double tick = 0; tick <= length.toNanos() * 0.78; tick += step) {
            ticks.add(Duration.ofNanos(Math.round(tick)));
        }
        return ticks;
    }

    void write(RunTree tree) {
        html.element("h2").with("id", "waterfall").text("Requests over time");
        legend();
        html.element("div").with("class", "row axis").with("aria-hidden", true).holding(() -> {
            html.element("span").text("");
            html.element("svg").with("width", "100%").with("height", BAR).holding(() -> {
                for (Duration tick : ticks) {
                    html.element("text")
                            .with("x", percent(tick, length))
                            .with("y", BAR - 3)
                            .text(Words.duration(tick));
                }
            });
            html.element("span").text("Tokens, to one scale");
        });
        list("tree", () -> tree.agents().forEach(agent -> agent(agent, tree)));
    }

    private void legend() {
        html.element("ul").with("class", "legend").with("role", "list").holding(() -> {
            key("wait", "Waiting for the first chunk");
            key("flow", "Receiving");
            if (run.requests().stream().anyMatch(request -> request.outcome() != RequestOutcome.COMPLETED)) {
                key("broken", "Receiving, and not completed");
            }
            key("cached", Words.of(TokenPart.CACHE_READ_INPUT));
            key("input", "Rest of input");
            key("reasoning", Words.of(TokenPart.REASONING_OUTPUT));
            key("output", "Rest of output");
        });
    }

    private void key(String kind, String text) {
        html.element("li").holding(() -> {
            html.element("svg")
                    .with("width", 12)
                    .with("height", 12)
                    .with("aria-hidden", true)
                    .holding(() -> bar(kind, "0", "100%", 0, 12));
            html.text(" " + text);
        });
    }

    private void agent(RunTree.AgentWork work, RunTree tree) {
        html.element("li").holding(() -> {
            if (work.agent() != null || tree.agents().size() > 1) {
                heading("h3", "Agent", work.agent(), work.sum().requests());
            }
            list(null, () -> work.nodes().forEach(node -> node(node, work)));
        });
    }

    private void node(RunTree.NodeWork work, RunTree.AgentWork agent) {
        html.element("li").holding(() -> {
            if (work.node() != null || agent.nodes().size() > 1) {
                heading("h4", "Node", work.node(), work.sum().requests());
            }
            list(null, () -> work.calls().forEach(call -> call(call, work)));
        });
    }

    private void call(RunTree.CallWork work, RunTree.NodeWork node) {
        html.element("li").with("class", "call").holding(() -> {
            if (work.callId() != null || node.calls().size() > 1) {
                String call = work.callId() == null ? "In no call" : "Call " + calls.of(work.callId());
                html.element("p")
                        .with("class", "of")
                        .text(call + " · " + Words.count(work.sum().requests(), "request"));
            }
            list(
                    null,
                    () -> work.requests()
                            .forEach(request ->
                                    html.element("li").with("class", "request").holding(() -> row(request))));
        });
    }

    private void heading(String level, String what, @Nullable String name, long requests) {
        html.element(level).holding(() -> {
            if (name == null) {
                html.text("No " + what.toLowerCase(Locale.ROOT));
            } else {
                html.text(what + " ").name(name);
            }
            html.element("small").text(" " + Words.count(requests, "request"));
        });
    }

    /** Without its bullets, a list is none to some screen readers unless it says so. */
    private void list(@Nullable String style, Runnable items) {
        html.element("ol").with("class", style).with("role", "list").holding(items);
    }

    private void row(RequestUsage request) {
        html.element("div").with("class", "row").holding(() -> {
            html.element("div").with("class", "who").holding(() -> who(request));
            html.element("svg")
                    .with("class", "time")
                    .with("width", "100%")
                    .with("height", BAR)
                    .with("aria-hidden", true)
                    .holding(() -> time(request));
            html.element("div").with("class", "tokens").holding(() -> {
                html.element("svg")
                        .with("width", "100%")
                        .with("height", BAR)
                        .with("aria-hidden", true)
                        .holding(() -> tokens(request));
                html.element("p").text(figures(request));
            });
        });
    }

    private void who(RequestUsage request) {
        html.element("p").holding(() -> {
            if (request.model() == null) {
                html.text("model not known");
            } else {
                html.name(request.model());
            }
            if (request.round() != null) {
                html.text(" · round " + Words.number(request.round()));
            }
            if (request.attempt() > 1) {
                html.text(" · attempt " + Words.number(request.attempt()));
            }
            if (request.outcome() != RequestOutcome.COMPLETED) {
                html.text(" ");
                html.element("span").with("class", "badge").text(Words.of(request.outcome()));
            }
            if (request.source() != UsageSource.REPORTED) {
                html.text(" ");
                html.element("span").with("class", "badge").text(Words.of(request.source()));
            }
        });
        html.element("p")
                .with("class", "when")
                .text("after " + Words.duration(sentAfter(request)) + ", for " + Words.duration(request.duration()));
    }

    private void time(RequestUsage request) {
        for (Duration tick : ticks) {
            String x = percent(tick, length);
            html.element("line")
                    .with("x1", x)
                    .with("x2", x)
                    .with("y1", 0)
                    .with("y2", BAR)
                    .text("");
        }
        Duration sent = sentAfter(request);
        Duration first = request.timeToFirstChunk();
        Duration waited = first == null || first.compareTo(request.duration()) > 0 ? request.duration() : first;
        bar("wait", percent(sent, length), width(waited), 3, BAR - 6);
        bar(
                request.outcome() == RequestOutcome.COMPLETED ? "flow" : "broken",
                percent(sent.plus(waited), length),
                width(request.duration().minus(waited)),
                0,
                BAR);
    }

    /** A request that was over at once is to be seen too. */
    private String width(Duration duration) {
        return duration.isZero() ? "0" : percent(Math.max(0.3, share(duration, length)));
    }

    private void tokens(RequestUsage request) {
        TokenUsage usage = request.usage();
        if (usage == null) {
            return;
        }
        long cached = usage.cacheReadInputTokens().orElse(0);
        long reasoning = usage.reasoningOutputTokens().orElse(0);
        double x = 0;
        x = segment("cached", x, cached);
        x = segment("input", x, usage.inputTokens() - cached);
        x = segment("reasoning", x, reasoning);
        segment("output", x, usage.outputTokens() - reasoning);
    }

    private double segment(String kind, double x, long tokens) {
        double width = tokens / mostTokens * 100;
        if (tokens > 0) {
            bar(kind, percent(x), percent(width), 0, BAR);
        }
        return x + width;
    }

    private void bar(String kind, String x, String width, int y, int height) {
        html.element("rect")
                .with("class", kind)
                .with("x", x)
                .with("y", y)
                .with("width", width)
                .with("height", height)
                .text("");
    }

    private static String figures(RequestUsage request) {
        TokenUsage usage = request.usage();
        if (usage == null) {
            return "tokens " + Words.UNKNOWN;
        }
        return side(request, usage.inputTokens(), "in", TokenPart.CACHE_READ_INPUT, "cached")
                + " · "
                + side(request, usage.outputTokens(), "out", TokenPart.REASONING_OUTPUT, "reasoning");
    }

    private static String side(RequestUsage request, long tokens, String side, TokenPart part, String what) {
        String figure = Words.figure(request, tokens) + " " + side;
        String ofIt = Words.part(request, part);
        return ofIt.equals(Words.NONE) ? figure : figure + " (" + ofIt + " " + what + ")";
    }

    private static double share(Duration duration, Duration whole) {
        return duration.toNanos() * 100.0 / whole.toNanos();
    }

    private static String percent(Duration duration, Duration whole) {
        return percent(share(duration, whole));
    }

    private static String percent(double share) {
        return String.format(Locale.ROOT, "%.3f%%", share);
    }
}
