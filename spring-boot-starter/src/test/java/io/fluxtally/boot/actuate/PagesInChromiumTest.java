package io.fluxtally.boot.actuate;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.scenario.Bill;
import io.fluxtally.conformance.scenario.BilledRequest;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.RunScope;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.openqa.selenium.By;
import org.openqa.selenium.Keys;
import org.openqa.selenium.WebElement;
import org.springframework.boot.WebApplicationType;
import org.springframework.context.annotation.Configuration;

/** The pages as a browser shows them, of runs made by real requests. */
@EnabledIf(
        value = "io.fluxtally.boot.actuate.Chromium#isThereOrRequired",
        disabledReason = "chromium and chromedriver are not on the search path")
class PagesInChromiumTest {

    private static final String EXACT = "weather-report";
    private static final String HOSTILE = "run <b> \"1' & 天气 \u202eflip";
    private static final String AGENT = "<script>document.title='owned'</script>";
    private static final String NODE = "\"><img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\">";
    private static final String MODEL = "</style><script>alert('m')</script>&amp;";
    private static final String LABEL = "<a href='javascript:alert(1)'>";
    private static final List<String> HOSTILE_RUN =
            List.of("openai-tool-loop-stream", "openai-dashscope-cache-stream", "openai-reset-stream");

    private static final Path PICTURES = Path.of("target", "screenshots");

    private static Chromium browser;
    private static SpendingApp app;

    @BeforeAll
    static void start() {
        browser = Chromium.start();
        List<Response> responses = new ArrayList<>(SpendingApp.responses("openai-tool-loop-stream"));
        SpendingApp.responses(HOSTILE_RUN.toArray(String[]::new)).stream()
                .map(response -> response.headers().isEmpty()
                        ? new Response(
                                response.status(),
                                Map.of(),
                                response.body().replace("\"model\":\"qwen-plus\"", "\"model\":\"" + MODEL + "\""),
                                response.end())
                        : response)
                .forEach(responses::add);
        app = SpendingApp.start(WebApplicationType.SERVLET, responses, Nothing.class);
        try (UsageRun run = app.runs().open(EXACT)) {
            app.ask(run.scope().withAgent("reporter").withRound(1));
        }
        try (UsageRun run = app.runs().open(HOSTILE)) {
            app.ask(run.scope()
                    .withAgent(AGENT)
                    .withNode(NODE)
                    .withRound(1)
                    .withLabel(RequestUsage.CONVERSATION, LABEL));
            RunScope writer = run.scope().withAgent("writer").withNode("draft");
            app.ask(writer.withRound(1));
            assertThat(app.failsToAsk(writer.withRound(2))).isTrue();
        }
    }

    @AfterAll
    static void stop() {
        if (app != null) {
            app.close();
        }
        if (browser != null) {
            browser.close();
        }
    }

    @BeforeEach
    void forget() {
        browser.log("performance");
        browser.log("browser");
    }

    private static String runs() {
        return app.origin() + "/actuator/fluxtally";
    }

    private static String run(String id) {
        return runs() + "/" + new Links("fluxtally").toRun(id).substring("fluxtally/".length());
    }

    private static String shown(OptionalLong tokens) {
        return tokens.isPresent() ? String.format("%,d", tokens.getAsLong()) : "–";
    }

    @Test
    @DisplayName("the totals of a run are those of the bill, and are said to be exact")
    void totals() {
        Bill bill = Scenarios.load("openai-tool-loop-stream").billed();

        browser.open(run(EXACT), 1280, "light");

        assertThat(browser.text(".verdict")).startsWith("Exact.");
        assertThat(browser.text("dd.requests"))
                .isEqualTo(String.valueOf(bill.requests().size()));
        for (TokenKey key : List.of(
                TokenKey.INPUT_TOKENS,
                TokenKey.OUTPUT_TOKENS,
                TokenKey.TOTAL_TOKENS,
                TokenKey.CACHE_READ_INPUT_TOKENS,
                TokenKey.REASONING_OUTPUT_TOKENS)) {
            assertThat(browser.text("dd." + key.word()))
                    .as(key.word())
                    .isEqualTo(shown(bill.total().get(key)));
        }
    }

    @Test
    @DisplayName("each request has its billed figures, in the table and beside its bars")
    void requests() {
        List<BilledRequest> billed =
                Scenarios.load("openai-tool-loop-stream").billed().requests();

        browser.open(run(EXACT), 1280, "light");

        assertThat(columns("Input")).containsExactlyElementsOf(figures(billed, TokenKey.INPUT_TOKENS));
        assertThat(columns("Cached input"))
                .containsExactlyElementsOf(figures(billed, TokenKey.CACHE_READ_INPUT_TOKENS));
        assertThat(columns("Output")).containsExactlyElementsOf(figures(billed, TokenKey.OUTPUT_TOKENS));
        assertThat(columns("Total")).containsExactlyElementsOf(figures(billed, TokenKey.TOTAL_TOKENS));
        assertThat(browser.texts(".request .tokens p"))
                .containsExactly("200 in (64 cached) · 20 out", "260 in (128 cached) · 6 out");
    }

    private static List<String> figures(List<BilledRequest> billed, TokenKey key) {
        return billed.stream().map(request -> shown(request.figures().get(key))).toList();
    }

    private static List<String> columns(String name) {
        List<String> names = browser.texts("table.figures thead th");
        int column = names.indexOf(name) + 1;
        assertThat(column).as("a column %s in %s", name, names).isPositive();
        return browser.texts("table.figures tbody tr > :nth-child(" + column + ")");
    }

    @Test
    @DisplayName("the list shows every run with its billed totals, and what all of them come to")
    void list() {
        browser.open(runs(), 1280, "light");

        List<String> cells = browser.texts("table.runs tbody tr:nth-child(2) > *");
        assertThat(browser.texts("table.runs tbody th")).containsExactly(HOSTILE, EXACT);
        assertThat(cells).contains("exact").endsWith("2", "460", "192", "26", "–", "486");
        assertThat(browser.texts("table.runs tbody tr:nth-child(1) > *"))
                .contains("incomplete")
                .endsWith("4", "≥ 3,460", "≥ 1,216", "≥ 66", "≥ 30", "≥ 3,526");
        assertThat(browser.texts("dd.input_tokens").get(0)).isEqualTo("≥ 3,920");
        assertThat(browser.text(".verdict")).startsWith("Incomplete.").contains("1 request brought no figure.");
    }

    @Test
    @DisplayName("an incomplete run says so, and why, and gives its figures as lower bounds")
    void incomplete() {
        browser.open(run(HOSTILE), 1280, "light");

        assertThat(browser.text(".verdict"))
                .startsWith("Incomplete.")
                .contains("1 request brought no figure. It is billed all the same, as far as is known.");
        assertThat(browser.text("dd.input_tokens")).isEqualTo("≥ 3,460");
        assertThat(columns("Input")).containsExactly("200", "260", "3,000", "not known");
        assertThat(columns("Input written to cache")).containsExactly("–", "–", "1,536", "–");
        assertThat(columns("Reasoning")).containsExactly("–", "–", "30", "–");
        assertThat(browser.texts(".request .badge")).containsExactly("failed", "no figure");
    }

    @Test
    @DisplayName("names that look like markup are shown as the text they are")
    void hostileNames() {
        browser.open(run(HOSTILE), 1280, "light");

        assertThat(browser.text("h1")).isEqualTo("Run " + HOSTILE);
        assertThat(browser.driver().getTitle()).isEqualTo("Run " + HOSTILE + " – Fluxtally");
        assertThat(browser.texts("h3 bdi")).containsExactly(AGENT, "writer");
        assertThat(browser.texts("h4 bdi")).containsExactly(NODE, "draft");
        assertThat(browser.texts(".request .who bdi")).contains(MODEL);
        assertThat(columns("Agent")).startsWith(AGENT, AGENT);
        assertThat(columns("Labels")).contains("conversation: " + LABEL);
        assertThat(browser.driver().findElements(By.cssSelector("script, img, iframe, object, link, b")))
                .isEmpty();
        assertThat(browser.driver().findElements(By.cssSelector("style"))).hasSize(1);
        assertThat(browser.texts("a")).containsExactly("All runs");
    }

    @ParameterizedTest
    @CsvSource({"light", "dark"})
    @DisplayName("nothing is asked for but the page itself, and the browser finds nothing to complain about")
    void nothingFromOutside(String scheme) throws IOException {
        for (String url : List.of(run(HOSTILE), run(EXACT), runs())) {
            forget();
            browser.open(url, 1280, scheme);

            List<String> asked = new ArrayList<>();
            for (String entry : browser.log("performance")) {
                JsonNode message = new ObjectMapper().readTree(entry).path("message");
                if (message.path("method").textValue().equals("Network.requestWillBeSent")) {
                    asked.add(message.at("/params/request/url").textValue());
                }
            }
            assertThat(asked).containsExactly(url);
            assertThat(browser.log("browser")).isEmpty();
        }
    }

    @Test
    @DisplayName("its policy stops what a page could be made to load or to run")
    void policy() {
        browser.open(run(EXACT), 1280, "light");

        browser.run(Object.class, """
                const script = document.createElement('script');
                script.textContent = "document.title = 'owned'";
                document.body.append(script);
                const style = document.createElement('style');
                style.textContent = 'body { background: rgb(1, 2, 3) }';
                document.body.append(style);
                """);

        assertThat(browser.driver().getTitle()).startsWith("Run " + EXACT);
        assertThat(browser.driver().findElement(By.tagName("body")).getCssValue("background-color"))
                .isNotEqualTo("rgba(1, 2, 3, 1)");
        assertThat(browser.log("browser"))
                .hasSize(2)
                .allSatisfy(entry -> assertThat(entry).contains("Content Security Policy"));
    }

    @Test
    @DisplayName("each bar begins where its request was sent and is as long as it took")
    void bars() throws Exception {
        JsonNode json = new ObjectMapper()
                .readTree(app.get(run(HOSTILE), "application/json").body());
        List<JsonNode> requests = json.findParents("request_id");
        Instant start = Instant.parse(json.path("start").textValue());
        double[] sent = requests.stream()
                .mapToDouble(request -> Duration.between(
                                start, Instant.parse(request.path("start").textValue()))
                        .toNanos())
                .toArray();
        double[] took = requests.stream()
                .mapToDouble(request -> request.path("duration_nanos").doubleValue())
                .toArray();
        double length = IntStream.range(0, sent.length)
                .mapToDouble(i -> sent[i] + took[i])
                .max()
                .orElseThrow();

        browser.open(run(HOSTILE), 1280, "light");
        List<Map<String, Number>> bars = bars(".request .time", "rect");

        assertThat(bars).hasSameSizeAs(requests);
        for (int i = 0; i < bars.size(); i++) {
            assertThat(bars.get(i).get("from").doubleValue())
                    .as("where bar %d begins", i)
                    .isCloseTo(sent[i] / length, within());
            assertThat(bars.get(i).get("to").doubleValue())
                    .as("where bar %d ends", i)
                    .isCloseTo((sent[i] + took[i]) / length, within());
        }
    }

    @Test
    @DisplayName("the bars of tokens are drawn to one scale, cached before other input, reasoning before other output")
    void tokens() {
        browser.open(run(HOSTILE), 1280, "light");

        assertThat(bars(".request .tokens svg", "rect.cached"))
                .extracting(bar -> round(bar, "to"))
                .containsExactly(share(64), share(128), share(1024), 0L);
        assertThat(bars(".request .tokens svg", "rect.input"))
                .extracting(bar -> round(bar, "to"))
                .containsExactly(share(200), share(260), share(3000), 0L);
        assertThat(bars(".request .tokens svg", "rect.reasoning"))
                .extracting(bar -> round(bar, "to"))
                .containsExactly(0L, 0L, share(3030), 0L);
        assertThat(bars(".request .tokens svg", "rect.output"))
                .extracting(bar -> round(bar, "to"))
                .containsExactly(share(220), share(266), share(3040), 0L);
    }

    /** In thousandths of the largest request. */
    private static long share(long tokens) {
        return Math.round(tokens * 1000 / 3040.0);
    }

    private static long round(Map<String, Number> bar, String end) {
        return Math.round(bar.get(end).doubleValue() * 1000);
    }

    private static Offset<Double> within() {
        return Offset.offset(0.005);
    }

    /** Of each drawing, where its rectangles begin and end, as shares of its width. */
    @SuppressWarnings("unchecked")
    private static List<Map<String, Number>> bars(String drawings, String rectangles) {
        return browser.run(List.class, """
                return [...document.querySelectorAll('%s')].map(svg => {
                    const whole = svg.getBoundingClientRect();
                    const parts = [...svg.querySelectorAll('%s')].map(rect => rect.getBoundingClientRect());
                    return {
                        from: parts.length ? (Math.min(...parts.map(p => p.left)) - whole.left) / whole.width : 0,
                        to: parts.length ? (Math.max(...parts.map(p => p.right)) - whole.left) / whole.width : 0};
                });
                """.formatted(drawings, rectangles));
    }

    static Stream<Arguments> views() {
        return Stream.of(320, 768, 1280)
                .flatMap(width -> Stream.of("light", "dark").map(scheme -> Arguments.of(width, scheme)));
    }

    @ParameterizedTest
    @MethodSource("views")
    @DisplayName("it fits the window, nothing lies over anything else, and all of it can be read")
    void layout(int width, String scheme) {
        for (Map.Entry<String, String> page :
                Map.of("run", run(HOSTILE), "runs", runs(), "exact", run(EXACT)).entrySet()) {
            browser.open(page.getValue(), width, scheme);
            browser.screenshot(PICTURES.resolve(page.getKey() + "-" + scheme + "-" + width + ".png"));

            assertThat(browser.run(Long.class, "return document.documentElement.scrollWidth"))
                    .isLessThanOrEqualTo(width);
            assertThat(browser.run(List.class, OVERLAPS))
                    .as("what lies over one another")
                    .isEmpty();
            assertThat(browser.run(List.class, OUTSIDE)).as("what sticks out").isEmpty();
            assertThat(browser.run(List.class, FAINT))
                    .as("what is hard to read")
                    .isEmpty();
        }
    }

    /** Pairs of boxes that hold texts or drawings of their own, and share more than a pixel. */
    private static final String OVERLAPS = """
            const boxes = [...document.querySelectorAll(
                    'h1, h2, h3, h4, nav, .facts, .verdict, .tiles > div, .legend, .axis, .of, .who, .time, .tokens svg, '
                    + '.tokens p, .scrolling, main > p, section > p')]
                .map(element => ({element, box: element.getBoundingClientRect()}))
                .filter(one => one.box.width > 0 && one.box.height > 0);
            const over = [];
            boxes.forEach((one, i) => boxes.slice(i + 1).forEach(other => {
                const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
                const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
                if (across > 1 && down > 1) {
                    over.push(one.element.outerHTML.slice(0, 90) + ' / ' + other.element.outerHTML.slice(0, 90));
                }
            }));
            return over;
            """;

    /** Bars and labels beyond the drawing they are in, and texts beyond the window that cannot be scrolled to. */
    private static final String OUTSIDE = """
            const out = [];
            document.querySelectorAll('svg').forEach(svg => {
                const whole = svg.getBoundingClientRect();
                svg.querySelectorAll('rect, text').forEach(part => {
                    const box = part.getBoundingClientRect();
                    if (whole.width && (box.left < whole.left - 1 || box.right > whole.right + 1)) {
                        out.push(part.outerHTML + ' of ' + whole.width);
                    }
                });
                const labels = [...svg.querySelectorAll('text')].map(text => text.getBoundingClientRect());
                labels.slice(1).forEach((box, i) => {
                    if (box.left < labels[i].right) { out.push('tick ' + i); }
                });
            });
            document.querySelectorAll('p, li, h1, h2, h3, h4, dt, dd').forEach(element => {
                if (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== 'inline') {
                    out.push(element.outerHTML.slice(0, 120));
                }
            });
            return out;
            """;

    /** Texts whose contrast to what is behind them is less than WCAG's 4.5 to 1. */
    private static final String FAINT = """
            const channels = color => color.match(/[\\d.]+/g).map(Number);
            const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
                .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
                .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
            const behind = element => {
                for (let e = element; e; e = e.parentElement) {
                    const color = channels(getComputedStyle(e).backgroundColor);
                    if (color.length === 3 || color[3] === 1) { return color; }
                }
                return [255, 255, 255];
            };
            return [...document.querySelectorAll('body *')]
                .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
                .map(e => {
                    const style = getComputedStyle(e);
                    const text = light(channels(e instanceof SVGElement ? style.fill : style.color));
                    const page = light(behind(e));
                    const contrast = (Math.max(text, page) + 0.05) / (Math.min(text, page) + 0.05);
                    return contrast < 4.5 ? contrast.toFixed(2) + ' ' + e.outerHTML.slice(0, 100) : null;
                })
                .filter(e => e);
            """;

    @Test
    @DisplayName("it follows the reader's preference for light or dark")
    void preference() {
        browser.open(run(EXACT), 1280, "light");
        String light = browser.driver().findElement(By.tagName("body")).getCssValue("background-color");
        browser.open(run(EXACT), 1280, "dark");
        String dark = browser.driver().findElement(By.tagName("body")).getCssValue("background-color");

        assertThat(light).isEqualTo("rgba(251, 251, 250, 1)");
        assertThat(dark).isEqualTo("rgba(20, 24, 29, 1)");
    }

    @Test
    @DisplayName("one gets about by keyboard: from the list to a run, and back")
    void keyboard() {
        browser.open(runs(), 1280, "light");
        browser.driver().findElement(By.linkText(HOSTILE));
        press(Keys.TAB);
        assertThat(focused().getDomAttribute("class"))
                .as("the table can be scrolled")
                .isEqualTo("scrolling");
        press(Keys.TAB);
        assertThat(focused().getText()).isEqualTo(HOSTILE);
        assertThat(focused().getCssValue("outline-style")).isEqualTo("solid");

        press(Keys.ENTER);
        assertThat(browser.text("h1")).isEqualTo("Run " + HOSTILE);

        press(Keys.TAB);
        assertThat(focused().getText()).isEqualTo("All runs");
        press(Keys.ENTER);
        assertThat(browser.text("h1")).isEqualTo("Runs");
    }

    private static WebElement focused() {
        return browser.driver().switchTo().activeElement();
    }

    private static void press(Keys key) {
        focused().sendKeys(key);
    }

    @Test
    @DisplayName("what only shows is hidden from screen readers, and every table and section is named")
    void semantics() {
        browser.open(run(HOSTILE), 1280, "light");

        assertThat(browser.run(
                        Long.class,
                        "return document.querySelectorAll('svg:not([aria-hidden=true])"
                                + ":not([aria-hidden=true] svg)').length"))
                .isZero();
        assertThat(browser.run(Boolean.class, """
                        return [...document.querySelectorAll('section, [role=region]')].every(
                            e => document.getElementById(e.getAttribute('aria-labelledby')));
                        """)).isTrue();
        assertThat(browser.run(Long.class, "return document.querySelectorAll('th:not([scope])').length"))
                .isZero();
        assertThat(browser.run(String.class, "return document.documentElement.lang"))
                .isEqualTo("en");
    }

    @Configuration(proxyBeanMethods = false)
    static class Nothing {}
}
