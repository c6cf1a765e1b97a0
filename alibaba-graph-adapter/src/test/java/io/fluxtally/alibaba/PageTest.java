package io.fluxtally.alibaba;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.graph.NodeOutput;
import io.fluxtally.usage.RunUsage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("The pages about Spring AI Alibaba")
class PageTest {

    private static final String BEGIN = "<!-- The table is made by the build from running the apps. -->\n";
    private static final String END = "<!-- End of the table. -->\n";

    private enum Page {
        ENGLISH(
                "spring-ai-alibaba.md",
                "| app | billed | before: call | before: stream | before: stream, finished outputs added up | now: call | now: stream |",
                App::title,
                "nothing",
                "error",
                ", incomplete",
                " or ",
                ", of which %s reported"),
        CHINESE(
                "spring-ai-alibaba.zh-CN.md",
                "| 应用 | 账单 | 之前：call | 之前：stream | 之前：stream，累加 finished 输出 | 现在：call | 现在：stream |",
                App::chinese,
                "无",
                "报错",
                "，不完整",
                " 或 ",
                "，其中已上报 %s");

        private final Path path;
        private final String head;
        private final Function<App, String> title;
        private final String nothing;
        private final String error;
        private final String incomplete;
        private final String or;
        private final String ofWhich;

        Page(
                String file,
                String head,
                Function<App, String> title,
                String nothing,
                String error,
                String incomplete,
                String or,
                String ofWhich) {
            this.path = Path.of("../docs", file);
            this.head = head;
            this.title = title;
            this.nothing = nothing;
            this.error = error;
            this.incomplete = incomplete;
            this.or = or;
            this.ofWhich = ofWhich;
        }

        String table(Map<App, Row> rows) {
            List<String> lines = new ArrayList<>();
            lines.add(head);
            lines.add("|---|---|---|---|---|---|---|");
            rows.forEach((app, row) -> lines.add("| %s | %s | %s | %s | %s | %s | %s |"
                    .formatted(
                            title.apply(app),
                            billed(app),
                            cell(row.called),
                            cell(row.streamed),
                            cell(row.addedUp),
                            cell(row.calledNow),
                            cell(row.streamedNow))));
            lines.add("");
            return String.join("\n", lines);
        }

        private String billed(App app) {
            return app == App.RETRY
                    ? number(app.billed() + 6_000) + ofWhich.formatted(number(app.billed()))
                    : number(app.billed());
        }

        private String cell(Set<Figure> figures) {
            return String.join(or, figures.stream().map(this::text).toList());
        }

        private String text(Figure figure) {
            if (figure == Figure.ERROR) {
                return error;
            }
            return figure.tokens == null ? nothing : number(figure.tokens) + (figure.isComplete ? "" : incomplete);
        }

        private static String number(int tokens) {
            return String.format(Locale.ROOT, "%,d", tokens);
        }
    }

    private record Figure(Integer tokens, boolean isComplete) {

        static final Figure ERROR = new Figure(null, false);
    }

    /** What each way of reading an app says, over all places where a usage may be. */
    private static final class Row {

        private final Set<Figure> called = new LinkedHashSet<>();
        private final Set<Figure> streamed = new LinkedHashSet<>();
        private final Set<Figure> addedUp = new LinkedHashSet<>();
        private final Set<Figure> calledNow = new LinkedHashSet<>();
        private final Set<Figure> streamedNow = new LinkedHashSet<>();
    }

    @Test
    @DisplayName("say what the apps read before and now; -Dfluxtally.docs=write writes them anew")
    void areUpToDate() throws IOException {
        Map<App, Row> rows = new EnumMap<>(App.class);
        for (App app : App.values()) {
            rows.put(app, row(app));
        }
        for (Page page : Page.values()) {
            String text = Files.readString(page.path);
            String expected = text.substring(0, text.indexOf(BEGIN) + BEGIN.length())
                    + page.table(rows)
                    + text.substring(text.indexOf(END));
            if ("write".equals(System.getProperty("fluxtally.docs"))) {
                Files.writeString(page.path, expected);
            }

            assertThat(Files.readString(page.path)).isEqualTo(expected);
        }
    }

    private static Row row(App app) {
        Row row = new Row();
        row.called.add(last(app, Kit.plain(false, UsageAt.LAST_CONTENT)));
        row.calledNow.add(last(app, Kit.measured(false, UsageAt.LAST_CONTENT)));
        for (UsageAt at : UsageAt.values()) {
            row.streamed.add(last(app, Kit.plain(true, at)));
            row.addedUp.add(addedUp(app, Kit.plain(true, at)));
            row.streamedNow.add(last(app, Kit.measured(true, at)));
        }
        return row;
    }

    private static Figure last(App app, Kit kit) {
        try {
            NodeOutput last = Outputs.last(Outputs.of(app, kit));
            return new Figure(
                    Outputs.tokens(last),
                    GraphUsage.of(last).map(RunUsage::isComplete).orElse(true));
        } catch (Exception error) {
            return Figure.ERROR;
        }
    }

    private static Figure addedUp(App app, Kit kit) {
        try {
            return new Figure(Outputs.sum(Outputs.of(app, kit)), true);
        } catch (Exception error) {
            return Figure.ERROR;
        }
    }
}
