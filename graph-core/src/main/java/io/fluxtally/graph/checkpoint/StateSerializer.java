package io.fluxtally.graph.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.DoubleNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Makes the values of a state into JSON and back, by name and never by class: what is read can only become what was
 * registered here.
 *
 * <p>Texts, booleans, numbers of any kind, {@code List}s, {@code Set}s, {@code Map}s of texts to values, {@code byte[]},
 * {@code UUID}s, the common types of {@code java.time}, and Spring AI's messages come back as what they were. Of a message,
 * metadata of other types is left out, and one of a provider's own subclass comes back as the message that it extends. Other
 * types have to be registered:
 *
 * <pre>{@code
 * StateSerializer serializer = StateSerializer.DEFAULT.with("order", Order.class);
 * }</pre>
 *
 * <p>Immutable and safe for use by any number of threads.
 */
public final class StateSerializer {

    private static final String TYPE = "@type";
    private static final String VALUE = "value";

    private static final String MAP = "map";
    private static final String SET = "set";

    private static final ObjectMapper MAPPER =
            JsonMapper.builder().findAndAddModules().build();

    /** How the values of one type become JSON and back. */
    private record Form<T>(
            String name,
            Class<T> type,
            Function<? super T, ? extends JsonNode> writer,
            Function<? super JsonNode, ? extends T> reader) {

        JsonNode write(Object value) {
            return writer.apply(type.cast(value));
        }
    }

    /** A serializer of what is named above. */
    public static final StateSerializer DEFAULT = new StateSerializer(Map.of(), Map.of())
            .withText("byte", Byte.class, Byte::valueOf)
            .withText("short", Short.class, Short::valueOf)
            .withText("long", Long.class, Long::valueOf)
            .withText("float", Float.class, Float::valueOf)
            .withText("double", Double.class, Double::valueOf)
            .withText("character", Character.class, text -> text.charAt(0))
            .withText("big_integer", BigInteger.class, BigInteger::new)
            .withText("big_decimal", BigDecimal.class, BigDecimal::new)
            .withText("uuid", UUID.class, UUID::fromString)
            .withText("instant", Instant.class, Instant::parse)
            .withText("duration", Duration.class, Duration::parse)
            .withText("local_date", LocalDate.class, LocalDate::parse)
            .withText("local_date_time", LocalDateTime.class, LocalDateTime::parse)
            .withText("offset_date_time", OffsetDateTime.class, OffsetDateTime::parse)
            .with(
                    "bytes",
                    byte[].class,
                    bytes -> text(Base64.getEncoder().encodeToString(bytes)),
                    json -> Base64.getDecoder().decode(json.textValue()));

    private final Map<String, Form<?>> byName;
    private final Map<Class<?>, Form<?>> byType;

    private StateSerializer(Map<String, Form<?>> byName, Map<Class<?>, Form<?>> byType) {
        this.byName = byName;
        this.byType = byType;
    }

    /**
     * This serializer, which also takes values of a type that Jackson can write and read, such as a record or an enum.
     *
     * @param name the name of the type in the JSON; what was saved can be read as long as it stays the same
     * @param type the type, which values have exactly
     * @throws IllegalArgumentException if the name is blank or taken, or the type has one
     */
    public <T> StateSerializer with(String name, Class<T> type) {
        return with(name, type, MAPPER::valueToTree, json -> MAPPER.convertValue(json, type));
    }

    /**
     * This serializer, which also takes values of another type.
     *
     * @param name the name of the type in the JSON; what was saved can be read as long as it stays the same
     * @param type the type, which values have exactly
     * @param writer makes JSON of a value
     * @param reader makes a value of that JSON
     * @throws IllegalArgumentException if the name is blank or taken, or the type has one
     */
    public <T> StateSerializer with(
            String name,
            Class<T> type,
            Function<? super T, ? extends JsonNode> writer,
            Function<? super JsonNode, ? extends T> reader) {
        if (name.isBlank() || byName.containsKey(name) || name.equals(MAP) || name.equals(SET) || Messages.has(name)) {
            throw new IllegalArgumentException("name must not be blank or taken, but is \"%s\"".formatted(name));
        }
        if (byType.containsKey(type)) {
            throw new IllegalArgumentException("type %s has a name already".formatted(type.getName()));
        }
        Form<T> form = new Form<>(name, type, writer, reader);
        Map<String, Form<?>> names = new HashMap<>(byName);
        names.put(name, form);
        Map<Class<?>, Form<?>> types = new HashMap<>(byType);
        types.put(type, form);
        return new StateSerializer(Map.copyOf(names), Map.copyOf(types));
    }

    private <T> StateSerializer withText(String name, Class<T> type, Function<String, T> reader) {
        return with(name, type, value -> text(value.toString()), json -> reader.apply(json.textValue()));
    }

    private static JsonNode text(String value) {
        return JsonNodeFactory.instance.textNode(value);
    }

    /**
     * A value as JSON.
     *
     * @param value the value, or null
     * @throws CheckpointException if it is, or holds, a value of a type that is not registered; it names the type, and not
     *     the value
     */
    public JsonNode write(@Nullable Object value) {
        if (value == null) {
            return NullNode.instance;
        }
        if (value instanceof String string) {
            return text(string);
        }
        if (value instanceof Boolean bool) {
            return JsonNodeFactory.instance.booleanNode(bool);
        }
        if (value instanceof Integer number) {
            return JsonNodeFactory.instance.numberNode(number);
        }
        if (value instanceof Double number && Double.isFinite(number)) {
            return DoubleNode.valueOf(number);
        }
        Form<?> form = byType.get(value.getClass());
        if (form != null) {
            return typed(form.name(), form.write(value));
        }
        if (value instanceof List<?> list) {
            return array(list);
        }
        if (value instanceof Set<?> set) {
            return typed(SET, array(set));
        }
        if (value instanceof Map<?, ?> map) {
            ObjectNode json = JsonNodeFactory.instance.objectNode();
            map.forEach((key, element) -> json.set(nameOf(key), write(element)));
            return json.has(TYPE) ? typed(MAP, json) : json;
        }
        String message = Messages.nameOf(value);
        if (message != null) {
            return typed(message, Messages.write(value, this));
        }
        throw new CheckpointException(
                "a value of type %s cannot be saved: register the type with the StateSerializer, or keep it out of the state"
                        .formatted(value.getClass().getName()));
    }

    /** A value as JSON, or null if it is, or holds, one of a type that is not registered. */
    @Nullable
    JsonNode writeIfKnown(@Nullable Object value) {
        try {
            return write(value);
        } catch (CheckpointException unknown) {
            return null;
        }
    }

    private ArrayNode array(Iterable<?> elements) {
        ArrayNode json = JsonNodeFactory.instance.arrayNode();
        elements.forEach(element -> json.add(write(element)));
        return json;
    }

    private static String nameOf(@Nullable Object key) {
        if (key instanceof String name) {
            return name;
        }
        throw new CheckpointException("the keys of a map must be texts to be saved, but one is a %s"
                .formatted(key == null ? "null" : key.getClass().getName()));
    }

    private static ObjectNode typed(String name, JsonNode value) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put(TYPE, name);
        json.set(VALUE, value);
        return json;
    }

    /**
     * The value that some JSON stands for. Lists, sets and maps in it are not to be changed.
     *
     * @throws CheckpointException if it names a type that is not registered
     */
    public @Nullable Object read(JsonNode json) {
        if (json.isNull()) {
            return null;
        }
        if (json.isTextual()) {
            return json.textValue();
        }
        if (json.isBoolean()) {
            return json.booleanValue();
        }
        if (json.isInt()) {
            return json.intValue();
        }
        if (json.isNumber()) {
            return json.doubleValue();
        }
        if (json.isArray()) {
            List<@Nullable Object> list = new ArrayList<>(json.size());
            json.forEach(element -> list.add(read(element)));
            return Collections.unmodifiableList(list);
        }
        return json.has(TYPE) ? read(json.get(TYPE).asText(), json.path(VALUE)) : map(json);
    }

    private Map<String, @Nullable Object> map(JsonNode json) {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        json.properties().forEach(field -> map.put(field.getKey(), read(field.getValue())));
        return Collections.unmodifiableMap(map);
    }

    private Object read(String name, JsonNode value) {
        if (name.equals(MAP)) {
            return map(value);
        }
        if (name.equals(SET)) {
            Set<@Nullable Object> set = new LinkedHashSet<>();
            value.forEach(element -> set.add(read(element)));
            return Collections.unmodifiableSet(set);
        }
        if (Messages.has(name)) {
            return Messages.read(name, value, this);
        }
        Form<?> form = byName.get(name);
        if (form == null) {
            throw new CheckpointException(
                    "a value of the type \"%s\" cannot be read: register the type with the StateSerializer"
                            .formatted(name));
        }
        try {
            return form.reader().apply(value);
        } catch (RuntimeException wrong) {
            // Without its message and itself, which may have the value in them.
            throw new CheckpointException("a value of the type \"%s\" cannot be read: %s"
                    .formatted(name, wrong.getClass().getSimpleName()));
        }
    }
}
