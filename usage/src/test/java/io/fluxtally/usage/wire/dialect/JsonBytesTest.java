package io.fluxtally.usage.wire.dialect;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.regex.Pattern;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

class JsonBytesTest {

    private static final JsonBytes.Fields FIELDS = new JsonBytes.Fields(
            JsonBytes.Field.of("usage"),
            JsonBytes.Field.of("finish_reason"),
            new JsonBytes.Field(JsonBytes.quoted("index"), '0'));

    private static final Pattern PLAIN =
            Pattern.compile("\"(usage|finish_reason)\"[: \\t\\n]*[^: \\t\\nn]|\"index\"[: \\t\\n]*[^: \\t\\n0]");

    @Provide
    Arbitrary<List<String>> pieces() {
        return Arbitraries.of(
                        "\"usage\"",
                        "\"finish_reason\"",
                        "\"index\"",
                        ":",
                        "n",
                        "0",
                        "1",
                        " ",
                        "\"",
                        "\"u",
                        "\"i",
                        "!",
                        "#",
                        "\"\"",
                        "x",
                        "usage",
                        "\\",
                        "\u00a2",
                        "abcdefgh")
                .list()
                .ofMaxSize(12);
    }

    @Property(tries = 5000)
    @Label("a field is found wherever a plain search finds it, and nowhere else")
    void finds(@ForAll("pieces") List<String> pieces) {
        String text = String.join("", pieces);
        byte[] json = (text + "\"usage\":1").getBytes(ISO_8859_1);

        boolean found = PLAIN.matcher(text).find();
        assertThat(FIELDS.isAnyIn(json, text.length())).isEqualTo(found);
        assertThat(FIELDS.isAnyIn(text.getBytes(ISO_8859_1), text.length())).isEqualTo(found);
    }
}
