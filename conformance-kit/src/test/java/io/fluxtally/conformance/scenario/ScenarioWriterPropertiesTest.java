package io.fluxtally.conformance.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

@Label("the writer of scenario files")
class ScenarioWriterPropertiesTest {

    @Property(tries = 500)
    @Label("writes a body of any text so that it comes back as it is")
    void anyText(@ForAll("texts") String body) {
        String file = ScenarioWriter.write(ScenarioWriterTest.ofBody(body), List.of());

        assertThat(ScenarioReader.read("written.yaml", file).responses().get(0).body())
                .isEqualTo(body);
    }

    @Provide
    Arbitrary<String> texts() {
        var pieces = Arbitraries.of(
                " ",
                "\n",
                "\r\n",
                "\r",
                "\t",
                "# ",
                "- ",
                "data: ",
                "{\"a\":1}",
                "'",
                "\"",
                "\\",
                "---",
                "...",
                "\u0085",
                "\u2028",
                "\ufeff",
                "文",
                "💬",
                "é",
                "\u0000",
                "\u001b",
                "x",
                ": ",
                "|",
                "%");
        return pieces.list().ofMaxSize(12).map(list -> String.join("", list));
    }
}
