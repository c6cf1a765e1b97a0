package io.fluxtally.boot.actuate;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.InputFormat;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SchemaValidatorsConfig;
import com.networknt.schema.SpecVersion;
import com.networknt.schema.ValidationMessage;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Set;

/** The schema that is published with the endpoint, read strictly: a name that it does not have is an error. */
final class EndpointSchema {

    private static final JsonSchemaFactory FACTORY = JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012);

    private EndpointSchema() {}

    static ObjectNode published() {
        try (InputStream in = FluxtallyEndpoint.class.getResourceAsStream("fluxtally.schema.json")) {
            return (ObjectNode) new ObjectMapper().readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What is wrong with a text that should be the given definition. */
    static Set<ValidationMessage> errors(String definition, String json) {
        ObjectNode strict = published();
        strict.remove("oneOf");
        strict.put("$ref", "#/$defs/" + definition);
        forbidOtherNames(strict);
        JsonSchema schema = FACTORY.getSchema(
                strict,
                SchemaValidatorsConfig.builder().formatAssertionsEnabled(true).build());
        return schema.validate(json, InputFormat.JSON);
    }

    /** What is wrong with a text by the schema as it is. */
    static Set<ValidationMessage> errors(String json) {
        return FACTORY.getSchema(published()).validate(json, InputFormat.JSON);
    }

    private static void forbidOtherNames(JsonNode node) {
        if (node.path("properties").isObject()) {
            ((ObjectNode) node).put("additionalProperties", false);
        }
        node.forEach(EndpointSchema::forbidOtherNames);
    }
}
