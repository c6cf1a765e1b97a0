package io.fluxtally.boot.actuate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.ModelCall;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the pages say, without a browser. */
class PagesTest {

    private static final String HOSTILE = "<script>\"'&</script>";
    private static final Instant START = Instant.parse("2026-01-31T12:00:00Z");

    private final RunHistory history = new RunHistory(10, 1, Duration.ofHours(1), 3);
    private final Links links = new Links("fluxtally");

    private void book(int number, UsageSource source) {
        history.accept(request(number)
                .usage(source == UsageSource.MISSING ? null : TokenUsage.of(100, 10), source)
                .build());
    }

    private static RequestUsage.Builder request(int number) {
        return RequestUsage.builder("request-" + number, START.plusMillis(number))
                .runId("run")
                .duration(Duration.ofMillis(5));
    }

    private String page() {
        return new RunPage(links).html(history.run("run").orElseThrow());
    }

    private String list() {
        return new OverviewPage(
                        new Overview(history.overview(10), history.overview(10).sum(), 0), links)
                .html();
    }

    @Test
    @DisplayName("no name that somebody else chose is markup in them")
    void escaped() {
        history.accept(request(1)
                .runId(HOSTILE)
                .callId(HOSTILE)
                .responseId(HOSTILE)
                .agent(HOSTILE)
                .node(HOSTILE)
                .labels(Map.of(HOSTILE, HOSTILE))
                .provider(HOSTILE)
                .requestModel(HOSTILE)
                .responseModel(HOSTILE)
                .reported(Map.of(HOSTILE, 1L))
                .build());
        String run = new RunPage(links).html(history.run(HOSTILE).orElseThrow());

        for (String page : List.of(run, list(), new RunPage(links).unknown(HOSTILE))) {
            assertThat(page)
                    .contains("&lt;script&gt;&quot;&#39;&amp;&lt;/script&gt;")
                    .doesNotContain("<script", "</script", "\"'&<");
        }
    }

    @Test
    @DisplayName("their policy names the style sheet that they have, and allows nothing else")
    void policy() throws Exception {
        book(1, UsageSource.REPORTED);
        for (String page : List.of(page(), list(), new RunPage(links).unknown("run"))) {
            Matcher style =
                    Pattern.compile("<style>(.*?)</style>", Pattern.DOTALL).matcher(page);
            assertThat(style.find()).isTrue();
            String hash = Base64.getEncoder()
                    .encodeToString(MessageDigest.getInstance("SHA-256")
                            .digest(style.group(1).getBytes(StandardCharsets.UTF_8)));

            assertThat(page)
                    .contains("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; "
                            + "style-src &#39;sha256-" + hash + "&#39;; base-uri &#39;none&#39;; "
                            + "form-action &#39;none&#39;\">")
                    .doesNotContain("src=", "url(", "@import", "style=", "://")
                    .doesNotContainPattern(" on\\w+=");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "MISSING | 1 request brought no figure. | ≥ 200",
                "PARTIAL | 1 response was cut off. | ≥ 300",
                "ESTIMATED | 1 request has an estimate | ≈ 300"
            })
    @DisplayName("they say in words why a run is not exact, and by a sign how far its total can be trusted")
    void incomplete(UsageSource source, String reason, String input) {
        book(1, UsageSource.REPORTED);
        book(2, source);
        book(3, UsageSource.REPORTED);

        assertThat(page())
                .contains("<strong>Incomplete.</strong>", reason, "<dd class=\"input_tokens\">" + input + "</dd>");
        assertThat(list())
                .contains("<strong>Incomplete.</strong>", reason, "<dd class=\"input_tokens\">" + input + "</dd>");
    }

    @Test
    @DisplayName("they say it if nothing is known of the tokens")
    void unknown() {
        book(1, UsageSource.MISSING);
        book(2, UsageSource.MISSING);

        assertThat(page())
                .contains("2 requests brought no figure.", "<dd class=\"input_tokens\">not known</dd>")
                .contains("<p>tokens not known</p>")
                .doesNotContain(">0<");
    }

    @Test
    @DisplayName("they say it if calls are under way, and give the total so far as a lower bound")
    void inFlight() {
        UsageRuns runs = new UsageRuns(history);
        UsageRun open = runs.open("run");
        book(1, UsageSource.REPORTED);
        ModelCall call = ModelCall.open(open.scope(), "model");

        assertThat(page()).contains("1 call or request is still under way", "<dd class=\"input_tokens\">≥ 100</dd>");

        call.close();
        assertThat(page()).contains("<strong>Exact so far.</strong>", "<dd class=\"input_tokens\">100</dd>");

        open.close();
        assertThat(page()).contains("<strong>Exact.</strong>");
    }

    @Test
    @DisplayName("they say it if a run was given up, or was opened elsewhere")
    void states() {
        UsageRuns runs = new UsageRuns(history);
        runs.open("run");
        runs.open("another");
        assertThat(page()).contains("evicted · ", "The run was never closed, and was given up", "No request was made.");

        history.accept(request(1)
                .runId("seen")
                .usage(TokenUsage.of(1, 1), UsageSource.REPORTED)
                .build());
        assertThat(new RunPage(links).html(history.run("seen").orElseThrow()))
                .contains(
                        "seen · ",
                        "whether anything of it is missing or still under way is not known",
                        "Exact as far as it was seen.");
        assertThat(list()).contains("3 runs remembered · 1 open · 1 never closed and given up");
    }

    @Test
    @DisplayName("they say how many requests are in the totals and not shown")
    void omitted() {
        for (int i = 1; i <= 5; i++) {
            book(i, UsageSource.REPORTED);
        }

        assertThat(page())
                .contains("2 more requests are in the totals and not shown one by one")
                .contains("The run, with 2 more requests")
                .contains("<dd class=\"input_tokens\">500</dd>");
    }

    @Test
    @DisplayName("an app that has asked for nothing has a list all the same")
    void empty() {
        assertThat(list()).contains("No run is remembered.", "0 runs remembered", "Every request belonged to a run.");
    }

    @Test
    @DisplayName("requests of no run are told of")
    void unattributed() {
        assertThat(new OverviewPage(
                                new Overview(
                                        history.overview(10),
                                        history.overview(10).sum(),
                                        2),
                                links)
                        .html())
                .contains("2 requests belonged to no run: in these totals alone.");
    }

    @ParameterizedTest
    @CsvSource({"fluxtally,fluxtally/a%20b", "tokens,tokens/a%20b", "ops/tokens,tokens/a%20b"})
    @DisplayName("links are relative to where the endpoint is")
    void relative(String path, String link) {
        assertThat(new Links(path).toRun("a b")).isEqualTo(link);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ".", "..", "a/b", "a\\b", "a;b", "a%b", "a\nb"})
    @DisplayName("a run whose id servers refuse in a path has no link")
    void noLink(String runId) {
        assertThat(links.toRun(runId)).isNull();
    }

    @Test
    @DisplayName("an id is encoded as a part of a path")
    void encoded() {
        assertThat(links.toRun("天?#&+\"<")).isEqualTo("fluxtally/%E5%A4%A9%3F%23%26%2B%22%3C");
    }
}
