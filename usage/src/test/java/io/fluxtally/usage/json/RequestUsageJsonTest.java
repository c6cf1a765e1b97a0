package io.fluxtally.usage.json;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Positive;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Label("a booked request as JSON")
class RequestUsageJsonTest {

    private static final ObjectMapper MAPPER = new ObjectMapper();

    private static ObjectNode smallest() {
        return RequestUsageJson.write(RequestUsage.builder("r1", Instant.EPOCH).build());
    }

    @Provide
    Arbitrary<List<String>> labels() {
        return Arbitraries.strings().ofMaxLength(5).injectNull(0.3).list().ofSize(8);
    }

    @Provide
    Arbitrary<TokenUsage> usages() {
        Arbitrary<Long> tokens = Arbitraries.longs().between(100, Long.MAX_VALUE);
        return Combinators.combine(
                        tokens,
                        tokens,
                        Arbitraries.longs().between(0, Long.MAX_VALUE),
                        Arbitraries.maps(
                                Arbitraries.of(TokenPart.class),
                                Arbitraries.longs().between(0, 100)))
                .as((input, output, total, parts) -> {
                    TokenUsage.Builder usage = TokenUsage.builder()
                            .inputTokens(input)
                            .outputTokens(output)
                            .totalTokens(total);
                    parts.forEach(usage::part);
                    return usage.build();
                });
    }

    @Property
    @Label("is read back as it was written, through the text of it")
    void roundTrip(
            @ForAll String requestId,
            @ForAll("labels") List<@Nullable String> labels,
            @ForAll @Positive int ordinal,
            @ForAll("usages") TokenUsage usage,
            @ForAll Map<String, String> others,
            @ForAll Map<String, Long> reported,
            @ForAll UsageSource source,
            @ForAll RequestOutcome outcome,
            @ForAll Instant start,
            @ForAll @LongRange(min = 0) long nanos,
            @ForAll boolean known)
            throws JsonProcessingException {
        RequestUsage request = new RequestUsage(
                requestId,
                labels.get(0),
                labels.get(1),
                labels.get(2),
                labels.get(3),
                labels.get(4),
                known ? ordinal : null,
                ordinal,
                known ? others : Map.of(),
                labels.get(5),
                labels.get(6),
                labels.get(7),
                source == UsageSource.MISSING ? null : usage,
                known ? reported : Map.of(),
                source,
                outcome,
                start,
                known ? Duration.ofNanos(nanos) : null,
                Duration.ofNanos(nanos));

        String text = MAPPER.writeValueAsString(RequestUsageJson.write(request));

        assertThat(RequestUsageJson.read(MAPPER.readTree(text))).isEqualTo(request);
    }

    @Test
    @DisplayName("leaves out what is not known, and writes a zero that is")
    void absentIsNotZero() {
        assertThat(smallest().fieldNames())
                .toIterable()
                .containsExactly("request_id", "attempt", "source", "outcome", "start", "duration_nanos");
        assertThat(RequestUsageJson.write(RequestUsage.builder("r1", Instant.EPOCH)
                                .usage(
                                        TokenUsage.builder()
                                                .part(TokenPart.CACHE_READ_INPUT, 0)
                                                .build(),
                                        UsageSource.REPORTED)
                                .build())
                        .path("usage")
                        .toString())
                .isEqualTo("{\"input_tokens\":0,\"output_tokens\":0,\"total_tokens\":0,\"cache_read_input_tokens\":0}");
    }

    @Test
    @DisplayName("may have names that a later version added")
    void laterNames() {
        assertThat(RequestUsageJson.read(smallest().put("carbon_grams", 3)))
                .isEqualTo(RequestUsageJson.read(smallest()));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "request_id | null | a text",
                "request_id | 5 | a text",
                "node | 5 | a text",
                "attempt | null | a whole number",
                "attempt | 1.5 | a whole number",
                "attempt | 4294967297 | a whole number that fits an int",
                "duration_nanos | 9223372036854775808 | a whole number",
                "start | \"yesterday\" | an ISO 8601 instant",
                "source | \"GUESSED\" | one of [REPORTED, PARTIAL, ESTIMATED, MISSING]",
            })
    @DisplayName("names the field, the rule and the value if it is no request")
    void wrong(String name, String value, String rule) throws JsonProcessingException {
        ObjectNode json = smallest();
        JsonNode given = MAPPER.readTree(value);
        if (given.isNull()) {
            json.remove(name);
        } else {
            json.set(name, given);
        }

        assertThatThrownBy(() -> RequestUsageJson.read(json))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("\"%s\" of a request must be %s, but is %s"
                        .formatted(name, rule, given.isNull() ? "not there" : given));
    }
}
