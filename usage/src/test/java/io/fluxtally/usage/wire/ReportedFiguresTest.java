package io.fluxtally.usage.wire;

import static io.fluxtally.usage.wire.Frames.dashScope;
import static io.fluxtally.usage.wire.Frames.dashScopeEvents;
import static io.fluxtally.usage.wire.Frames.openAiCall;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.wire.TapUnderTest.Ending;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ReportedFiguresTest {

    private final TapUnderTest tap = TapUnderTest.create();

    private Map<String, Long> reported(String usage) {
        return tap.openAiCall(openAiCall(usage)).reported();
    }

    @Test
    @DisplayName("a field that no dialect knows is reported by its path, elements of arrays by their place")
    void unknownFields() {
        assertThat(reported("""
                        {"prompt_tokens":1,"new":{"deep":{"count":2}},"list":[{"a":3},{"a":4},[5]],"prompt_tokens_details":{"cached_tokens":0,"other":6}}"""))
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "usage.prompt_tokens", 1L,
                        "usage.new.deep.count", 2L,
                        "usage.list[0].a", 3L,
                        "usage.list[1].a", 4L,
                        "usage.list[2][0]", 5L,
                        "usage.prompt_tokens_details.cached_tokens", 0L,
                        "usage.prompt_tokens_details.other", 6L));
    }

    @Test
    @DisplayName("numbers of the answer are none of the figures")
    void numbersElsewhere() {
        String call = openAiCall("{\"prompt_tokens\":1}")
                .replace("\"choices\":[{", "\"created\":7,\"choices\":[{\"x\":8,\"usage\":{\"prompt_tokens\":9},");

        assertThat(tap.openAiCall(call).reported()).containsExactly(Map.entry("usage.prompt_tokens", 1L));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "null",
                "[]",
                "{\"a\":-1,\"b\":1.5,\"c\":\"7\",\"d\":null,\"e\":true,\"f\":1e99,\"g\":9223372036854775808,\"h\":{},\"i\":[]}",
                "{\"a text that is no name\":1,\"\":2,\"é\":3,\"a.b\":4,\"x\\ny\":5}",
                "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}"
            })
    @DisplayName("what is no count, has no plain name or lies too deep is left out")
    void leftOut(String usage) {
        assertThat(reported(usage)).isEmpty();
    }

    @Test
    @DisplayName("a number of any length is borne, and the figures beside it count")
    void longNumbers() {
        assertThat(reported("{\"x\":%s,\"y\":0.%s,\"prompt_tokens\":1}".formatted("9".repeat(3000), "1".repeat(3000))))
                .containsExactly(Map.entry("usage.prompt_tokens", 1L));
    }

    @Test
    @DisplayName(
            "however many fields there are and however long their names, few are kept, and the known ones among them")
    void bounded() {
        String many = IntStream.range(0, 5000)
                .mapToObj(i -> "\"x%d\":%d,\"%s%d\":1".formatted(i, i, "n".repeat(200), i))
                .collect(Collectors.joining(","));

        Map<String, Long> reported = reported("{" + many + ",\"prompt_tokens\":1,\"completion_tokens\":2}");

        assertThat(reported).hasSizeLessThanOrEqualTo(64).containsEntry("usage.prompt_tokens", 1L);
        assertThat(reported.keySet()).allMatch(name -> name.length() < 200);
    }

    @Test
    @DisplayName("T1: of running totals the last of each field is kept, and of an event that broke off nothing")
    void lastOfEachField() {
        String broken = dashScope("b", "null", "{\"input_tokens\":26,\"output_tokens\":9}")
                .replace(",\"request_id\"", "");

        RequestUsage request = tap.dashScopeStream(
                dashScopeEvents(
                        dashScope("a", "null", "{\"input_tokens\":26,\"output_tokens\":1,\"first\":3}"),
                        broken,
                        dashScope("c", "null", "{\"input_tokens\":27}")),
                Ending.RESET);

        assertThat(request.reported())
                .containsExactlyInAnyOrderEntriesOf(
                        Map.of("usage.input_tokens", 27L, "usage.output_tokens", 1L, "usage.first", 3L));
    }

    @Test
    @DisplayName("T14: what is billed by something else than tokens is reported, while the tokens are missing")
    void withoutTokens() {
        RequestUsage request = tap.dashScopeCall(
                "{\"output\":{\"finish_reason\":\"stop\"},\"usage\":{\"characters\":53},\"request_id\":\"R1\"}");

        assertThat(request.source()).isEqualTo(UsageSource.MISSING);
        assertThat(request.reported()).containsExactly(Map.entry("usage.characters", 53L));
    }
}
