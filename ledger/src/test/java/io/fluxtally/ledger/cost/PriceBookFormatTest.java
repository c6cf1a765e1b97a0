package io.fluxtally.ledger.cost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.file.Files;
import java.nio.file.Path;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Label("The file of a price book")
class PriceBookFormatTest {

    private static final String GOOD = """
            prices:
              - model: m
                currency: USD
                per: million
                from: 2026-01-01
                until: 2027-01-01
                zone: UTC
                tiers:
                  - up_to_input: 1000
                    input: 1
                    output: 2
                  - up_to_input: 2000
                    input: 1
                    output: 2
            """;

    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "model: m            | modle: m                 | 2  | a key of prices\\[0\\] must be one of .*, but is \"modle\"",
                "model: m            | model: [m]               | 2  | prices\\[0\\].model must be a text or number, but is a list",
                "model: m            | model: a b               | 2  | prices\\[0\\].model must be a model's name, or a pattern with \\*, of 1 to 100 characters, but is \"a b\"",
                "currency: USD       | currency: usd            | 3  | prices\\[0\\].currency must be a code of three capital letters, but is \"usd\"",
                "per: million        | per: 1000                | 4  | prices\\[0\\].per must be million or thousand, but is \"1000\"",
                "per: million        | source: x                | 2  | prices\\[0\\].per must be given, but is missing",
                "from: 2026-01-01    | from: 2026-02-30         | 5  | prices\\[0\\].from must be a date such as 2026-01-31, but is \"2026-02-30\"",
                "until: 2027-01-01   | until: 2026-01-01        | 6  | prices\\[0\\].until must be later than from, but is not",
                "zone: UTC           | zone: Mars/Base          | 7  | prices\\[0\\].zone must be a time zone such as Asia/Shanghai, but is \"Mars/Base\"",
                "zone: UTC           | absent_is_zero: [images] | 7  | prices\\[0\\].absent_is_zero\\[0\\] must be cache_read, cache_creation or reasoning, but is \"images\"",
                "zone: UTC           | input: 3                 | 7  | prices\\[0\\].input must be in a tier where there are tiers, but is beside them",
                "zone: UTC           | currency: CNY            | 7  | prices\\[0\\].currency must be given once, but is given twice",
                "up_to_input: 1000   | up_to_input: 0           | 9  | prices\\[0\\].tiers\\[0\\].up_to_input must be a whole number of tokens, 1 or more, but is \"0\"",
                "up_to_input: 1000   | cache_read: 1            | 9  | prices\\[0\\].tiers\\[0\\] must have up_to_input unless it is the last tier, but has none",
                "up_to_input: 2000   | up_to_input: 1000        | 12 | prices\\[0\\].tiers\\[1\\].up_to_input must be more than that of the tier before, 1000, but is 1000",
                "input: 1            | input: free              | 10 | prices\\[0\\].tiers\\[0\\].input must be a decimal number of up to 9 digits and 12 after the point, but is \"free\"",
                "input: 1            | input: -1                | 10 | prices\\[0\\].tiers\\[0\\].input must be a decimal number .*, but is \"-1\"",
                "input: 1            | input: 1e999999999       | 10 | prices\\[0\\].tiers\\[0\\].input must be a decimal number .*, but is \"1e999999999\"",
                "input: 1            | input: null              | 10 | prices\\[0\\].tiers\\[0\\].input must be a text or number, but is null",
                "output: 2           | input_price: 2           | 11 | a key of prices\\[0\\].tiers\\[0\\] must be one of .*, but is \"input_price\"",
                "output: 2           | output: 1, 5             | 11 | prices\\[0\\].tiers\\[0\\].output must be a decimal number .*, but is \"1, 5\"",
                "zone: UTC           | provider: ''             | 7  | prices\\[0\\].provider must be 1 to 100 characters without a space, but is \"\"",
                "zone: UTC           | zone: \"UTC              | 15 | a price book must be valid YAML, but: .*",
                "zone: UTC           | zone: *nothing           | 7  | a price book must be valid YAML, but: .*",
            })
    @DisplayName("is refused with its name, the line, the key, the rule and the value")
    void refused(String was, String is, int line, String complaint) {
        String pattern =
                complaint.startsWith("a key of") ? complaint.replace("[", "\\[").replace("]", "\\]") : complaint;
        PriceBookException refusal = catchThrowableOfType(
                PriceBookException.class,
                () -> PriceBook.read("my.yaml", GOOD.replaceFirst(was + "\n", is.replace("\\", "\\\\") + "\n")));

        assertThat(refusal).message().matches("my\\.yaml:" + line + ": " + complaint);
        assertThat(refusal.line()).isEqualTo(line);
        assertThat(refusal.file()).isEqualTo("my.yaml");
        assertThat(refusal.getMessage()).contains(": " + refusal.key() + " ");
    }

    @Test
    @DisplayName("is read as it should be, so that the complaints are about what they name")
    void good() {
        PriceBook.read("my.yaml", GOOD);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "''                        | a price book must be a mapping, but the file is empty",
                "[1, 2]                    | a price book must be a mapping, but is a list",
                "prices: []                | prices must have 1 to 2000 items, but has 0",
                "{prices: [{}], prices: 1} | prices must be given once, but is given twice",
                "!!java.net.URL [x]        | a price book must be valid YAML, but: Global tag is not allowed: tag:yaml.org,2002:java.net.URL",
            })
    @DisplayName("must be a mapping with a list of prices")
    void notABook(String yaml, String complaint) {
        assertThatThrownBy(() -> PriceBook.read("my.yaml", yaml))
                .isInstanceOf(PriceBookException.class)
                .hasMessage("my.yaml:1: " + complaint);
    }

    @Test
    @DisplayName("has a limit to its size and to its nesting, and need not be there")
    void limits() throws Exception {
        Path large = folder.resolve("large.yaml");
        Files.writeString(large, "#".repeat(PriceBookReader.LONGEST_FILE + 1));
        Path latin = Files.write(folder.resolve("latin.yaml"), new byte[] {'a', ':', ' ', (byte) 0xe4});

        assertThatThrownBy(() -> PriceBook.read(large))
                .isInstanceOf(PriceBookException.class)
                .hasMessage(large + ": a price book must have at most 1048576 bytes, but has more");
        assertThatThrownBy(() -> PriceBook.read("deep.yaml", "prices: " + "[".repeat(100_000)))
                .isInstanceOf(PriceBookException.class);
        assertThatThrownBy(() -> PriceBook.read(latin))
                .hasMessage(latin + ": a price book must be in UTF-8, but is not");
        assertThatThrownBy(() -> PriceBook.read(folder.resolve("none.yaml")))
                .isInstanceOf(PriceBookException.class)
                .hasMessageContaining("must be a readable file");
    }

    @Test
    @DisplayName("is read in no time however its patterns and aliases are")
    void hostile() {
        String stars = "a*".repeat(50);
        String entry = "  - {model: '%s', currency: USD, per: million, input: 1, output: 1}\n";

        assertThatThrownBy(
                        () -> PriceBook.read("my.yaml", "prices:\n" + entry.formatted(stars) + entry.formatted(stars)))
                .isInstanceOf(PriceBookException.class);
        assertThatThrownBy(() -> PriceBook.read("my.yaml", "prices: &a [*a]")).isInstanceOf(PriceBookException.class);
    }

    @Property(tries = 500)
    @Label("comes to a book or to one kind of exception, whatever it is")
    void anything(
            @ForAll @CharRange(from = ' ', to = '~') @StringLength(max = 40) String junk,
            @ForAll @net.jqwik.api.constraints.IntRange(max = 300) int at) {
        String text = new StringBuilder(GOOD)
                .insert(Math.min(at, GOOD.length()), junk)
                .toString();
        try {
            PriceBook.read("my.yaml", text);
        } catch (PriceBookException refused) {
            assertThat(refused).hasMessageStartingWith("my.yaml:");
        }
    }
}
