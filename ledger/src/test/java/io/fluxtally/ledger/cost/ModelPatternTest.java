package io.fluxtally.ledger.cost;

import static org.assertj.core.api.Assertions.assertThat;

import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.Chars;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Label("A pattern of models")
class ModelPatternTest {

    @ParameterizedTest
    @CsvSource({
        "qwen-plus, qwen-plus, true",
        "qwen-plus, qwen-plus-x, false",
        "qwen-plus, Qwen-plus, false",
        "qwen-*, qwen-, true",
        "qwen-*, qwen-max, true",
        "*-max, qwen3-max, true",
        "q*n*x, qwen-max, true",
        "q*n*x, qwen-maxi, false",
        "gpt-4.1, gpt-4x1, false",
        "*, x, true",
        "a*a, a, false",
        "**, abc, true"
    })
    @DisplayName("takes * for any characters, and everything else for itself")
    void matches(String pattern, String name, boolean matches) {
        assertThat(new ModelPattern(pattern).matches(name)).isEqualTo(matches);
    }

    @Property
    @Label("meets another wherever there is a name that both match, and says so from either side")
    void meets(
            @ForAll @Chars({'a', 'b', '*'}) @StringLength(max = 6) String one,
            @ForAll @Chars({'a', 'b', '*'}) @StringLength(max = 6) String two,
            @ForAll @CharRange(from = 'a', to = 'b') @StringLength(max = 6) String name) {
        ModelPattern left = new ModelPattern(one);
        ModelPattern right = new ModelPattern(two);

        assertThat(left.meets(right)).isEqualTo(right.meets(left));
        assertThat(left.matches(name)).isEqualTo(name.matches(one.replace("*", ".*")));
        if (left.matches(name) && right.matches(name)) {
            assertThat(left.meets(right)).isTrue();
        }
    }

    @ParameterizedTest
    @CsvSource({"qwen-*, *-plus, true", "qwen-*, gpt-*, false", "a*b, *a, false", "a*b, *b, true", "ab, a*, true"})
    @DisplayName("meets no other where there is none")
    void meetsNot(String one, String two, boolean meets) {
        assertThat(new ModelPattern(one).meets(new ModelPattern(two))).isEqualTo(meets);
    }
}
