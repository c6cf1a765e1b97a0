package io.fluxtally.boot.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class GrafanaDashboardTest {

    private static final Path DASHBOARD = Path.of("../docs/grafana/fluxtally.json");

    private static final Pattern METRIC = Pattern.compile("\\b(?:fluxtally|gen_ai)_[a-z_]+");
    /** A metric with the labels that are asked of it. */
    private static final Pattern SELECTOR = Pattern.compile("\\b(fluxtally_[a-z_]+)\\{([^}]*)}");

    private static final Pattern MATCHER = Pattern.compile("([a-z_]+)\\s*=?[~=!]");
    /** What is grouped by, and the metrics of the group. */
    private static final Pattern GROUPING =
            Pattern.compile("by \\(([a-z_, ]+)\\) \\((?:[a-z]+\\()?(fluxtally_[a-z_]+)");

    private static final Pattern VALUES = Pattern.compile("label_values\\((fluxtally_[a-z_]+), ([a-z_]+)\\)");
    private static final Pattern LEGEND = Pattern.compile("\\{\\{([a-z_]+)}}");

    private static JsonNode dashboard;
    private static Scrape scrape;

    @BeforeAll
    static void scrapesEveryFigure() throws Exception {
        dashboard = new ObjectMapper().readTree(DASHBOARD.toFile());
        // A response with each of the parts.
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("openai-cache-write-and-audio-call"));
                MeteredApp app = MeteredApp.start(provider)) {
            app.get("/call");
            scrape = app.scrape();
        }
    }

    @Test
    @DisplayName("every metric that the dashboard asks for is scraped of an app, and every one of ours is on it")
    void metrics() {
        Set<String> asked = new TreeSet<>();
        queries().forEach(query -> METRIC.matcher(query).results().forEach(name -> asked.add(name.group())));
        // Label names that look like metrics would hide here.
        asked.removeIf(name -> name.startsWith("gen_ai")
                && scrape.labels("fluxtally_requests_total").contains(name));

        Set<String> ours = scrape.names().stream()
                // Those of the observation of runs are Boot's.
                .filter(name -> name.startsWith("fluxtally_") && !name.startsWith("fluxtally_run_"))
                .collect(Collectors.toCollection(TreeSet::new));
        assertThat(asked).isEqualTo(ours).hasSize(17);
    }

    @Test
    @DisplayName("every label that the dashboard filters and groups by is one that the metric has")
    void labels() {
        List<String> queries = queries();
        int checked = 0;
        for (String query : queries) {
            for (MatchResult selector : SELECTOR.matcher(query).results().toList()) {
                checked++;
                assertThat(scrape.labels(selector.group(1)))
                        .as(query)
                        .containsAll(MATCHER.matcher(selector.group(2))
                                .results()
                                .map(label -> label.group(1))
                                .toList());
            }
            for (MatchResult grouping : GROUPING.matcher(query).results().toList()) {
                checked++;
                assertThat(scrape.labels(grouping.group(2)))
                        .as(query)
                        .containsAll(List.of(grouping.group(1).split(", ")));
            }
            for (MatchResult values : VALUES.matcher(query).results().toList()) {
                checked++;
                assertThat(scrape.labels(values.group(1))).as(query).contains(values.group(2));
            }
        }
        assertThat(checked).isGreaterThan(queries.size());
    }

    @Test
    @DisplayName("a legend names only labels that its query groups by")
    void legends() {
        for (JsonNode target : dashboard.findValues("targets").stream()
                .flatMap(targets -> {
                    List<JsonNode> each = new ArrayList<>();
                    targets.forEach(each::add);
                    return each.stream();
                })
                .toList()) {
            String query = target.get("expr").asText();
            Set<String> grouped = new HashSet<>();
            GROUPING.matcher(query)
                    .results()
                    .forEach(
                            grouping -> grouped.addAll(List.of(grouping.group(1).split(", "))));
            assertThat(LEGEND.matcher(target.get("legendFormat").asText())
                            .results()
                            .map(label -> label.group(1)))
                    .as(query)
                    .isSubsetOf(grouped);
        }
    }

    @Test
    @DisplayName("the data source is the reader's choice, and no variable is used that there is not")
    void variables() {
        List<JsonNode> sources = dashboard.findValues("datasource");
        assertThat(sources)
                .isNotEmpty()
                .allSatisfy(source -> assertThat(source.get("uid").asText()).isEqualTo("${datasource}"));

        Set<String> variables = new HashSet<>(Set.of("__range", "__rate_interval"));
        dashboard
                .get("templating")
                .get("list")
                .forEach(variable -> variables.add(variable.get("name").asText()));
        for (String query : queries()) {
            assertThat(Pattern.compile("\\$([a-z_]+)").matcher(query).results().map(variable -> variable.group(1)))
                    .as(query)
                    .isSubsetOf(variables);
        }
    }

    @Test
    @DisplayName("panels have ids of their own, a title and a description, and lie beside each other on the grid")
    void panels() {
        Set<Integer> ids = new HashSet<>();
        Set<String> cells = new HashSet<>();
        for (JsonNode panel : dashboard.get("panels")) {
            assertThat(ids.add(panel.get("id").asInt())).isTrue();
            assertThat(panel.get("title").asText()).isNotBlank();
            if (!panel.get("type").asText().equals("row")) {
                assertThat(panel.get("description").asText()).isNotBlank();
            }
            JsonNode grid = panel.get("gridPos");
            assertThat(grid.get("x").asInt() + grid.get("w").asInt()).isLessThanOrEqualTo(24);
            for (int x = 0; x < grid.get("w").asInt(); x++) {
                for (int y = 0; y < grid.get("h").asInt(); y++) {
                    assertThat(cells.add((grid.get("x").asInt() + x) + " "
                                    + (grid.get("y").asInt() + y)))
                            .as(panel.get("title").asText())
                            .isTrue();
                }
            }
        }
    }

    private static List<String> queries() {
        List<String> queries = new ArrayList<>(dashboard.findValuesAsText("expr"));
        queries.addAll(dashboard.get("templating").findValuesAsText("definition"));
        assertThat(queries).hasSizeGreaterThan(20);
        return queries;
    }
}
