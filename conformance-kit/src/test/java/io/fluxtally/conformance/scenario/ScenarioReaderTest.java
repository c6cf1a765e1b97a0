package io.fluxtally.conformance.scenario;

import static java.util.Collections.nCopies;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.fluxtally.usage.UsageSource;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ScenarioReaderTest {

    private static final String WEATHER = """
            name: weather
            family: dashscope
            client: dashscope
            mode: stream
            tools: [get_weather]
            options: {n: 2}
            cancel_after: 3
            responses:
              - status: 200
                headers: {x-request-id: r-1}
                body: |
                  data: one

                  data: 二
                end: hang
            billed:
              complete: true
              total: {input_tokens: 460, output_tokens: 26}
              requests:
                - {response_id: R1, source: REPORTED, input_tokens: 460}
            """;

    @Test
    void readsEveryKeyOfTheFormat() {
        String yaml = """
                name: weather
                family: openai
                client: deepseek
                mode: call
                tools: [get_weather, get_forecast]
                options: {n: 2, temperature: 0.5, deep: {on: true, none: null, list: [a, 1]}}
                cancel_after: 3
                responses:
                  - status: 429
                    headers: {x-request-id: r-1, retry-after: 2}
                    body: "slow\\r\\ndown"
                    end: reset
                  - body: |
                      data: 二
                    end: hang
                  - {}
                billed:
                  complete: false
                  total: {input_tokens: 3000000000, cache_read_input_tokens: null, text_input_tokens: 0}
                  requests:
                    - {response_id: 7, source: PARTIAL, video_output_tokens: 4}
                    - {}
                """;

        Scenario scenario = ScenarioReader.read("weather.yaml", yaml);

        assertThat(scenario.name()).isEqualTo("weather");
        assertThat(scenario.family()).isEqualTo(Family.OPENAI);
        assertThat(scenario.client()).isEqualTo(Client.DEEPSEEK);
        assertThat(scenario.mode()).isEqualTo(Mode.CALL);
        assertThat(scenario.tools()).containsExactly("get_weather", "get_forecast");
        assertThat(scenario.options()).containsOnlyKeys("n", "temperature", "deep");
        assertThat(scenario.options()).containsEntry("n", 2L).containsEntry("temperature", 0.5);
        assertThat((Map<?, ?>) scenario.options().get("deep")).hasToString("{on=true, none=null, list=[a, 1]}");
        assertThat(scenario.cancelAfter()).isEqualTo(3);
        assertThat(scenario.responses())
                .containsExactly(
                        new Response(429, Map.of("x-request-id", "r-1", "retry-after", "2"), "slow\r\ndown", End.RESET),
                        new Response(200, Map.of(), "data: 二\n", End.HANG),
                        new Response(200, Map.of(), "", End.COMPLETE));
        Bill bill = scenario.billed();
        assertThat(bill.complete()).isFalse();
        assertThat(bill.total().stated())
                .isEqualTo(Map.of(
                        TokenKey.INPUT_TOKENS, OptionalLong.of(3_000_000_000L),
                        TokenKey.CACHE_READ_INPUT_TOKENS, OptionalLong.empty(),
                        TokenKey.TEXT_INPUT_TOKENS, OptionalLong.of(0)));
        assertThat(bill.requests())
                .containsExactly(
                        new BilledRequest(
                                "7",
                                UsageSource.PARTIAL,
                                new Figures(Map.of(TokenKey.VIDEO_OUTPUT_TOKENS, OptionalLong.of(4)))),
                        new BilledRequest(null, null, Figures.NONE));
    }

    @Test
    void tellsAFigureThatMustBeAbsentFromOneThatIsNotStated() {
        Figures total = read(WEATHER.replace("output_tokens: 26", "output_tokens: null"))
                .billed()
                .total();

        assertThat(total.states(TokenKey.OUTPUT_TOKENS)).isTrue();
        assertThat(total.get(TokenKey.OUTPUT_TOKENS)).isEmpty();
        assertThat(total.states(TokenKey.TOTAL_TOKENS)).isFalse();
        assertThat(total.get(TokenKey.INPUT_TOKENS)).hasValue(460);
    }

    @Test
    void leavesOutWhatIsOptional() {
        Scenario scenario = read("""
                {name: s, family: ollama, client: ollama, mode: call, responses: [{body: "{}"}],
                 billed: {complete: true, total: {}}}
                """);

        assertThat(scenario.tools()).isEmpty();
        assertThat(scenario.options()).isEmpty();
        assertThat(scenario.cancelAfter()).isNull();
        assertThat(scenario.billed()).isEqualTo(new Bill(true, Figures.NONE, null));
    }

    @ParameterizedTest(name = "{0} -> {1}: weather.yaml:{2}: {3}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                // unknown words
                "mode: stream | mode: streaming | 4 | mode must be stream or call, but is \"streaming\"",
                "family: dashscope | family: baidu | 2 | family must be dashscope, openai, anthropic, gemini or ollama, but is \"baidu\"",
                "client: dashscope | client: [dashscope] | 3 | client must be dashscope, openai, anthropic, deepseek, mistral, zhipu or ollama, but is a list",
                "end: hang | end: stop | 15 | responses[0].end must be complete, reset or hang, but is \"stop\"",
                "source: REPORTED | source: reported | 20 | billed.requests[0].source must be REPORTED, PARTIAL, ESTIMATED or MISSING, but is \"reported\"",
                // unknown and missing and duplicate keys
                "mode: stream | model: stream | 4 | a key of a scenario must be one of name, family, client, mode, tools, options, cancel_after, responses, billed, but is \"model\"",
                "end: hang | ends: hang | 15 | a key of responses[0] must be one of status, headers, body, end, but is \"ends\"",
                "complete: true | completed: true | 17 | a key of billed must be one of complete, total, requests, but is \"completed\"",
                "output_tokens: 26 | completion_tokens: 26 | 18 | a key of billed.total must be one of input_tokens, output_tokens, total_tokens, cache_read_input_tokens, cache_creation_input_tokens, reasoning_output_tokens, text_input_tokens, image_input_tokens, audio_input_tokens, video_input_tokens, text_output_tokens, image_output_tokens, audio_output_tokens, video_output_tokens, but is \"completion_tokens\"",
                "name: weather | '' | 2 | name must be given, but is missing",
                "complete: true | '' | 18 | billed.complete must be given, but is missing",
                "tools: [get_weather] | mode: stream | 5 | mode must be given once, but is given on line 4 already",
                "output_tokens: 26 | input_tokens: 26 | 18 | billed.total.input_tokens must be given once, but is given on line 18 already",
                "n: 2 | `n: 2, n: 3` | 6 | options.n must be given once, but is given on line 6 already",
                // wrong types
                "name: weather | name: {a: b} | 1 | name must be text, but is a mapping",
                "name: weather | name: | 1 | name must be text, but is null",
                "name: weather | name: [weather] | 1 | name must be text, but is a list",
                "family: dashscope | family: | 2 | family must be dashscope, openai, anthropic, gemini or ollama, but is null",
                "client: dashscope | client: gpt | 3 | client must be dashscope, openai, anthropic, deepseek, mistral, zhipu or ollama, but is \"gpt\"",
                "mode: stream | mode: true | 4 | mode must be stream or call, but is true",
                "tools: [get_weather] | tools: {get_weather: 1} | 5 | tools must be a list, but is a mapping",
                "tools: [get_weather] | tools: [[get_weather]] | 5 | tools[0] must be text, but is a list",
                "name: weather | name: \" \" | 1 | name must not be blank, but is \" \"",
                "tools: [get_weather] | tools: get_weather | 5 | tools must be a list, but is \"get_weather\"",
                "tools: [get_weather] | tools: [null] | 5 | tools[0] must be text, but is null",
                "options: {n: 2} | options: 2 | 6 | options must be a mapping, but is 2",
                "options: {n: 2} | options: {n: .inf} | 6 | options.n must be a decimal number, but is .inf",
                "cancel_after: 3 | cancel_after: three | 7 | cancel_after must be a whole number, but is \"three\"",
                "options: {n: 2} | options: [n] | 6 | options must be a mapping, but is a list",
                "cancel_after: 3 | cancel_after: [3] | 7 | cancel_after must be a whole number, but is a list",
                "cancel_after: 3 | cancel_after: 1.5 | 7 | cancel_after must be a whole number, but is 1.5",
                "cancel_after: 3 | cancel_after: 2147483648 | 7 | cancel_after must be 1 to 2147483647, but is 2147483648",
                "cancel_after: 3 | cancel_after: 0 | 7 | cancel_after must be 1 to 2147483647, but is 0",
                "status: 200 | status: \"200\" | 9 | responses[0].status must be a whole number, but is \"200\"",
                "status: 200 | status: | 9 | responses[0].status must be a whole number, but is null",
                "status: 200 | status: 600 | 9 | responses[0].status must be 200 to 599, but is 600",
                "- status: 200 | - [200] | 10 | must be valid YAML, but: while parsing a block collection, expected <block end>, but found '<block mapping start>'",
                "headers: {x-request-id: r-1} | headers: [x-request-id] | 10 | responses[0].headers must be a mapping, but is a list",
                "headers: {x-request-id: r-1} | headers: {x-request-id: [r-1]} | 10 | responses[0].headers.x-request-id must be text, but is a list",
                "end: hang | end: | 15 | responses[0].end must be complete, reset or hang, but is null",
                "status: 200 | status: 99 | 9 | responses[0].status must be 200 to 599, but is 99",
                "x-request-id: r-1 | x request id: r-1 | 10 | responses[0].headers.x request id must have the name of an HTTP header, but has \"x request id\"",
                "x-request-id: r-1 | `x-id: \"a\\r\\nb\"` | 10 | responses[0].headers.x-id must be the value of an HTTP header, but is \"a\\r\\nb\"",
                "complete: true | complete: maybe | 17 | billed.complete must be true or false, but is \"maybe\"",
                "complete: true | complete: | 17 | billed.complete must be true or false, but is null",
                "total: {input_tokens: 460, output_tokens: 26} | total: 486 | 18 | billed.total must be a mapping, but is 486",
                "total: {input_tokens: 460, output_tokens: 26} | total: | 18 | billed.total must be a mapping, but is null",
                "total: {input_tokens: 460, output_tokens: 26} | '' | 17 | billed.total must be given, but is missing",
                "- {response_id: R1, source: REPORTED, input_tokens: 460} | - R1 | 20 | billed.requests[0] must be a mapping, but is \"R1\"",
                "- {response_id: R1, source: REPORTED, input_tokens: 460} | R1: 460 | 20 | billed.requests must be a list, but is a mapping",
                "response_id: R1 | response_id: {id: R1} | 20 | billed.requests[0].response_id must be text, but is a mapping",
                "response_id: R1 | request_id: R1 | 20 | a key of billed.requests[0] must be one of response_id, source, input_tokens, output_tokens, total_tokens, cache_read_input_tokens, cache_creation_input_tokens, reasoning_output_tokens, text_input_tokens, image_input_tokens, audio_input_tokens, video_input_tokens, text_output_tokens, image_output_tokens, audio_output_tokens, video_output_tokens, but is \"request_id\"",
                "source: REPORTED | source: | 20 | billed.requests[0].source must be REPORTED, PARTIAL, ESTIMATED or MISSING, but is null",
                "input_tokens: 460} | input_tokens: [460]} | 20 | billed.requests[0].input_tokens must be a whole number, but is a list",
                "complete: true | complete: yes | 17 | billed.complete must be true or false, but is yes",
                "input_tokens: 460, | input_tokens: 4.6e2, | 18 | billed.total.input_tokens must be a whole number, but is 4.6e2",
                "input_tokens: 460, | input_tokens: 0460, | 18 | billed.total.input_tokens must be a whole number, but is 0460",
                "input_tokens: 460, | input_tokens: -460, | 18 | billed.total.input_tokens must be 0 or more, but is -460",
                "input_tokens: 460} | input_tokens: -1} | 20 | billed.requests[0].input_tokens must be 0 or more, but is -1",
                "input_tokens: 460, | input_tokens: 9223372036854775808, | 18 | billed.total.input_tokens must be at most 9223372036854775807, but is 9223372036854775808",
                // tags, anchors and plain bad YAML
                "name: weather | name: !!java.net.URL weather | 1 | must be valid YAML, but: Global tag is not allowed: tag:yaml.org,2002:java.net.URL",
                "mode: stream | [mode]: stream | 4 | a key must be text, but is a list",
                "mode: stream | <<: {mode: stream} | 4 | a key of a scenario must be one of name, family, client, mode, tools, options, cancel_after, responses, billed, but is \"<<\"",
                "name: weather | name: !mine weather | 1 | name must not have a tag, but has !mine",
                "options: {n: 2} | options: &o {n: *o} | 6 | options.n.n must not contain itself",
                "mode: stream | mode: [stream | 5 | must be valid YAML, but: while parsing a flow sequence, expected ',' or ']', but got :",
                "mode: stream | mode: *unknown | 4 | must be valid YAML, but: found undefined alias unknown",
            })
    void namesTheFileTheLineTheRuleAndTheValue(String there, String broken, int line, String rule) {
        assertThat(WEATHER).contains(there);
        String yaml =
                WEATHER.replaceFirst(Pattern.quote(there), Matcher.quoteReplacement(broken.equals("''") ? "" : broken));

        ScenarioFormatException e = complaint(yaml);

        assertThat(e).hasMessage("weather.yaml:" + line + ": " + rule);
        assertThat(e.file()).isEqualTo("weather.yaml");
        assertThat(e.line()).isEqualTo(line);
        assertThat(e.rule()).isEqualTo(rule);
    }

    @Test
    void refusesAScenarioWithoutResponses() {
        String yaml = WEATHER.substring(0, WEATHER.indexOf("  - status")).replace("responses:", "responses: []")
                + WEATHER.substring(WEATHER.indexOf("billed:"));

        assertThat(complaint(yaml))
                .hasMessage("weather.yaml:8: responses must have at least one response, but is empty");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "responses: | 8 | responses must be a list, but is null",
                "responses: {} | 8 | responses must be a list, but is a mapping",
                "responses: [200] | 8 | responses[0] must be a mapping, but is 200",
                "responses: [{body: [a]}] | 8 | responses[0].body must be text, but is a list",
                "responses: [{body: }] | 8 | responses[0].body must be text, but is null",
                "responses: [{}, {status: 99}] | 8 | responses[1].status must be 200 to 599, but is 99",
            })
    void refusesResponsesThatAreNone(String responses, int line, String rule) {
        String yaml = WEATHER.substring(0, WEATHER.indexOf("responses:"))
                + responses
                + "\n"
                + WEATHER.substring(WEATHER.indexOf("billed:"));

        assertThat(complaint(yaml)).hasMessage("weather.yaml:" + line + ": " + rule);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "\n\n", "\ufeff", "--- \n", "null\n", "~"})
    void refusesAFileWithNothingInIt(String yaml) {
        assertThat(complaint(yaml))
                .hasMessageMatching(
                        "weather\\.yaml:[1-3]: a scenario must be a mapping, but (the file is empty|is null)");
    }

    @Test
    void refusesAnEmptyFileAndOneThatIsNoMapping() {
        assertThat(complaint("# nothing\n"))
                .hasMessage("weather.yaml:1: a scenario must be a mapping, but the file is empty");
        assertThat(complaint("# a list\n- name\n"))
                .hasMessage("weather.yaml:2: a scenario must be a mapping, but is a list");
    }

    @Test
    void refusesASecondDocument() {
        assertThat(complaint(WEATHER + "---\nname: other\n"))
                .hasMessageStartingWith("weather.yaml:21: must be valid YAML, but: expected a single document");
    }

    @Test
    void refusesMoreAliasesThanAPersonWrites() {
        String yaml =
                WEATHER.replace("options: {n: 2}", "options:\n  a: &a [1]\n  b: [" + "*a, ".repeat(32) + "\n    *a]");

        assertThat(complaint(yaml)).hasMessage("weather.yaml:9: a scenario must have at most 32 aliases, but has more");
        assertThat(read(yaml.replace("\n    *a]", "]")).options()).containsKey("b");
    }

    @Test
    void refusesABillionLaughs() {
        StringBuilder options =
                new StringBuilder("options:\n  a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for (int i = 1; i <= 9; i++) {
            options.append("  a%d: &a%d [%s]\n".formatted(i, i, String.join(", ", nCopies(9, "*a" + (i - 1)))));
        }

        assertThat(complaint(WEATHER.replace("options: {n: 2}\n", options)))
                .hasMessage("weather.yaml:11: a scenario must have at most 32 aliases, but has more");
    }

    @Test
    void refusesAliasesThatAreFewAndStillMakeVeryMuch() {
        StringBuilder options = new StringBuilder("options:\n  a0: &a0 [lol, lol, lol]\n");
        for (int i = 1; i <= 10; i++) {
            options.append("  a%d: &a%d [%s]\n".formatted(i, i, String.join(", ", nCopies(3, "*a" + (i - 1)))));
        }

        assertThat(complaint(WEATHER.replace("options: {n: 2}\n", options)))
                .hasMessage(
                        "weather.yaml:15: options.a8 must be at most 10000 values with what its aliases repeat, but is more");
    }

    @Test
    void refusesNestingThatNoOptionNeeds() {
        String yaml = WEATHER.replace("{n: 2}", "{n:\n    " + "[".repeat(15) + "]".repeat(15) + "}");

        assertThat(complaint(yaml))
                .hasMessage("weather.yaml:7: a scenario must be nested at most 16 levels deep, but is deeper");
        assertThat(read(yaml.replace("[[", "[").replace("]]", "]")).options()).containsKey("n");
    }

    @Test
    void quotesALongValueInShort() {
        assertThat(complaint(WEATHER.replace("mode: stream", "mode: " + "x".repeat(1_000))))
                .hasMessageEndingWith("but is \"" + "x".repeat(60) + "...\"");
    }

    @Test
    void namesTheLineOfAByteThatIsNotUtf8() {
        byte[] bytes = WEATHER.getBytes(StandardCharsets.ISO_8859_1);
        bytes[WEATHER.indexOf("get_weather")] = (byte) 0xe9;

        ScenarioFormatException e =
                catchThrowableOfType(ScenarioFormatException.class, () -> ScenarioReader.read("weather.yaml", bytes));

        assertThat(e).hasMessage("weather.yaml:5: the file must be in UTF-8, but has byte 0xe9");
    }

    @Test
    void namesTheLineOfACharacterThatYamlForbids() {
        assertThat(complaint(WEATHER.replace("mode: stream", "mode: 🙂\u0007")))
                .hasMessage("weather.yaml:4: must be valid YAML, but has the special character U+0007");
    }

    @Test
    void readsAFileWithAByteOrderMark(@TempDir Path folder) throws Exception {
        Path file = Files.writeString(folder.resolve("bom.yaml"), "\ufeff" + WEATHER);

        assertThat(ScenarioReader.read(file)).isEqualTo(read(WEATHER));
    }

    @Test
    void saysWhyAFileCannotBeRead(@TempDir Path folder) {
        Path missing = folder.resolve("missing.yaml");

        ScenarioFormatException e =
                catchThrowableOfType(ScenarioFormatException.class, () -> ScenarioReader.read(missing));
        assertThat(e).hasMessage(missing + ": must be a readable file, but does not exist");
        assertThat(e.line()).isZero();

        e = catchThrowableOfType(ScenarioFormatException.class, () -> ScenarioReader.read(folder));
        assertThat(e).hasMessage(folder + ": must be a readable file, but is a directory");
    }

    @Test
    void saysWhyALinkThatLeadsNowhereCannotBeRead(@TempDir Path folder) throws Exception {
        Path loop = folder.resolve("loop.yaml");
        Files.createSymbolicLink(loop, loop);

        ScenarioFormatException e =
                catchThrowableOfType(ScenarioFormatException.class, () -> ScenarioReader.read(loop));

        assertThat(e).hasMessageStartingWith(loop + ": must be a readable file, but failed with: ");
    }

    @Test
    void refusesAFileInUtf16() {
        byte[] bytes = WEATHER.getBytes(StandardCharsets.UTF_16);

        ScenarioFormatException e =
                catchThrowableOfType(ScenarioFormatException.class, () -> ScenarioReader.read("weather.yaml", bytes));

        assertThat(e).hasMessage("weather.yaml:1: the file must be in UTF-8, but has byte 0xfe");
    }

    @Test
    void copiesWhatItIsGiven() {
        List<String> tools = new ArrayList<>(List.of("get_weather"));
        Scenario base = read(WEATHER);
        Scenario scenario = new Scenario(
                "s",
                base.family(),
                base.client(),
                base.mode(),
                tools,
                base.options(),
                null,
                base.responses(),
                base.billed());
        tools.clear();

        assertThat(scenario.tools()).containsExactly("get_weather");
    }

    private static Scenario read(String yaml) {
        return ScenarioReader.read("weather.yaml", yaml);
    }

    private static ScenarioFormatException complaint(String yaml) {
        return catchThrowableOfType(ScenarioFormatException.class, () -> read(yaml));
    }
}
