package io.fluxtally.conformance.capture;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Label("the model that a request asks for")
class RequestModelTest {

    private static String modelOf(String body, int pieces) {
        RequestModel model = new RequestModel();
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        for (int at = 0; at < bytes.length; at += pieces) {
            model.feed(Arrays.copyOfRange(bytes, at, Math.min(bytes.length, at + pieces)));
        }
        return String.valueOf(model.model());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "{\"model\":\"qwen-plus\",\"input\":{}}                                      | qwen-plus",
                " { \"input\" : {\"model\":\"no\",\"a\":[{\"model\":\"no\"}]} , \"model\" : \"m\" } | m",
                "{\"messages\":[{\"content\":\"\\\"model\\\":\\\"no\\\"\"}],\"model\":\"m\"} | m",
                "{\"x\":\"model\",\"y\":\"no\",\"model\":\"m\"}                              | m",
                "{\"x\":\"a\\\\\",\"model\":\"m\"}                                           | m",
                "{\"model\":null,\"y\":\"no\"}                                               | null",
                "{\"model\":{\"model\":\"no\"},\"y\":\"no\"}                                 | null",
                "{\"model\":[\"no\"],\"y\":\"no\"}                                           | null",
                "{\"model\":\"a\\u0062\"}                                                    | null",
                "[{\"model\":\"no\"}]                                                        | null",
                "not JSON {\"model\":\"no\"}                                                 | null",
                "{} {\"model\":\"no\"}                                                       | null",
                "{\"model\":\"                                                               | null",
            })
    @DisplayName("is the text under model of the outermost object, and nothing else, however the body is cut")
    void model(String body, String model) {
        for (int pieces = 1; pieces <= body.length(); pieces++) {
            assertThat(modelOf(body, pieces)).isEqualTo(model);
        }
    }

    @Property(tries = 300)
    @Label("is found behind and before any text")
    void anyText(@ForAll @Size(max = 4) List<String> texts) throws Exception {
        ObjectMapper json = new ObjectMapper();
        ObjectNode body = json.createObjectNode();
        for (int i = 0; i < texts.size(); i++) {
            body.putObject("k" + i)
                    .put("model", texts.get(i))
                    .putArray("model:")
                    .add(texts.get(i));
            body.put("t" + i, texts.get(i));
        }
        body.put("model", "m-1");

        assertThat(modelOf(json.writeValueAsString(body), 7)).isEqualTo("m-1");
    }
}
