package io.fluxtally.conformance.scenario;

import io.fluxtally.usage.UsageSource;
import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.composer.Composer;
import org.yaml.snakeyaml.error.Mark;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.reader.ReaderException;
import org.yaml.snakeyaml.reader.StreamReader;
import org.yaml.snakeyaml.resolver.Resolver;

/**
 * The reader of scenario files.
 *
 * <p>It reads the YAML node by node and builds no object that a file names, so a file from a stranger is safe to read. Whatever is
 * wrong with a file comes as one {@link ScenarioFormatException}. Stateless, and so safe for use by many threads.
 */
public final class ScenarioReader {

    private static final int LONGEST_FILE = 64 * 1024 * 1024;

    private static final List<String> SCENARIO_KEYS =
            List.of("name", "family", "client", "mode", "tools", "options", "cancel_after", "responses", "billed");

    private static final List<String> RESPONSE_KEYS = List.of("status", "headers", "body", "end");

    private static final List<String> BILL_KEYS = List.of("complete", "total", "requests");

    private static final List<String> TOKEN_KEYS =
            Stream.of(TokenKey.values()).map(TokenKey::word).toList();

    private static final List<String> REQUEST_KEYS = Stream.concat(
                    Stream.of("response_id", "source"), TOKEN_KEYS.stream())
            .toList();

    private static final Pattern HEADER_NAME = Pattern.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+");

    private static final Pattern HEADER_VALUE = Pattern.compile("[\\t\\x20-\\x7e\\x80-\\xff]*");

    private ScenarioReader() {}

    /**
     * Reads a scenario file in UTF-8.
     *
     * @throws ScenarioFormatException when the file cannot be read or is not a scenario; it names the path as given
     */
    public static Scenario read(Path file) {
        byte[] bytes;
        try {
            bytes = Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new ScenarioFormatException(file.toString(), 0, "must be a readable file, but does not exist", e);
        } catch (AccessDeniedException e) {
            throw new ScenarioFormatException(file.toString(), 0, "must be a readable file, but access is denied", e);
        } catch (IOException e) {
            String reason = Files.isDirectory(file) ? "is a directory" : "failed with: " + e.getMessage();
            throw new ScenarioFormatException(file.toString(), 0, "must be a readable file, but " + reason, e);
        }
        return read(file.toString(), bytes);
    }

    /**
     * Reads a scenario from bytes in UTF-8.
     *
     * @param file the name that a complaint gives the file
     * @throws ScenarioFormatException when the bytes are not a scenario
     */
    public static Scenario read(String file, byte[] bytes) {
        return read(file, decode(file, bytes));
    }

    /**
     * Reads a scenario from text.
     *
     * @param file the name that a complaint gives the file
     * @throws ScenarioFormatException when the text is not a scenario
     */
    public static Scenario read(String file, String yaml) {
        return scenario(new Field(file, "", compose(file, yaml)));
    }

    private static String decode(String file, byte[] bytes) {
        if (bytes.length > LONGEST_FILE) {
            throw new ScenarioFormatException(
                    file, 0, "must have at most " + LONGEST_FILE + " bytes, but has " + bytes.length, null);
        }
        ByteBuffer in = ByteBuffer.wrap(bytes);
        CharBuffer out = CharBuffer.allocate(bytes.length);
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        CoderResult result = decoder.decode(in, out, true);
        out.flip();
        if (result.isError()) {
            throw new ScenarioFormatException(
                    file,
                    lineAfter(out.toString()),
                    "the file must be in UTF-8, but has byte 0x"
                            + Integer.toHexString(Byte.toUnsignedInt(bytes[in.position()])),
                    null);
        }
        return out.toString();
    }

    private static Node compose(String file, String yaml) {
        LoaderOptions options = new LoaderOptions();
        options.setCodePointLimit(LONGEST_FILE);
        // LimitedParser has the stricter limits, and knows the line.
        options.setMaxAliasesForCollections(Integer.MAX_VALUE);
        options.setNestingDepthLimit(Integer.MAX_VALUE);
        try {
            LimitedParser parser = new LimitedParser(file, new StreamReader(new StringReader(yaml)), options);
            Node root = new Composer(parser, new Resolver(), options).getSingleNode();
            if (root == null) {
                throw new ScenarioFormatException(file, 1, "a scenario must be a mapping, but the file is empty", null);
            }
            return root;
        } catch (MarkedYAMLException e) {
            Mark mark = e.getProblemMark() != null ? e.getProblemMark() : e.getContextMark();
            throw new ScenarioFormatException(
                    file, mark == null ? 0 : mark.getLine() + 1, "must be valid YAML, but: " + problem(e), e);
        } catch (ReaderException e) {
            String before = yaml.substring(0, yaml.offsetByCodePoints(0, e.getPosition()));
            throw new ScenarioFormatException(
                    file,
                    lineAfter(before),
                    "must be valid YAML, but has the special character U+" + String.format("%04X", e.getCodePoint()),
                    e);
        } catch (YAMLException e) {
            throw new ScenarioFormatException(file, 0, "must be valid YAML, but: " + e.getMessage(), e);
        }
    }

    private static String problem(MarkedYAMLException e) {
        String problem = e.getProblem() == null ? "it cannot be parsed" : e.getProblem();
        return e.getContext() == null ? problem : e.getContext() + ", " + problem;
    }

    private static int lineAfter(String text) {
        return 1 + (int) text.chars().filter(c -> c == '\n').count();
    }

    private static Scenario scenario(Field root) {
        Map<String, Field> entries = root.entries(SCENARIO_KEYS);
        Field name = root.required(entries, "name");
        if (name.text().isBlank()) {
            throw name.complaint("must not be blank, but is " + name.value());
        }
        Family family = root.required(entries, "family").word(Family.values(), Family::word);
        Client client = root.required(entries, "client").word(Client.values(), Client::word);
        Mode mode = root.required(entries, "mode").word(Mode.values(), Mode::word);
        Field tools = entries.get("tools");
        Field options = entries.get("options");
        Field cancelAfter = entries.get("cancel_after");
        return new Scenario(
                name.text(),
                family,
                client,
                mode,
                tools == null
                        ? List.of()
                        : tools.items().stream().map(Field::text).toList(),
                options == null ? Map.of() : options(options),
                cancelAfter == null ? null : (int) cancelAfter.number(1, Integer.MAX_VALUE),
                responses(root.required(entries, "responses")),
                bill(root.required(entries, "billed")));
    }

    private static Map<String, @Nullable Object> options(Field field) {
        Map<String, @Nullable Object> options = new LinkedHashMap<>();
        field.entries().forEach((name, value) -> options.put(name, value.plain()));
        return options;
    }

    private static List<Response> responses(Field field) {
        List<Response> responses = new ArrayList<>();
        for (Field item : field.items()) {
            Map<String, Field> entries = item.entries(RESPONSE_KEYS);
            Field status = entries.get("status");
            Field headers = entries.get("headers");
            Field body = entries.get("body");
            Field end = entries.get("end");
            responses.add(new Response(
                    status == null ? 200 : (int) status.number(200, 599),
                    headers == null ? Map.of() : headers(headers),
                    body == null ? "" : body.text(),
                    end == null ? End.COMPLETE : end.word(End.values(), End::word)));
        }
        if (responses.isEmpty()) {
            throw field.complaint("must have at least one response, but is empty");
        }
        return responses;
    }

    private static Map<String, String> headers(Field field) {
        Map<String, String> headers = new LinkedHashMap<>();
        field.entries().forEach((name, value) -> {
            if (!HEADER_NAME.matcher(name).matches()) {
                throw value.complaint("must have the name of an HTTP header, but has " + Field.quoted(name));
            }
            if (!HEADER_VALUE.matcher(value.text()).matches()) {
                throw value.complaint("must be the value of an HTTP header, but is " + value.value());
            }
            headers.put(name, value.text());
        });
        return headers;
    }

    private static Bill bill(Field field) {
        Map<String, Field> entries = field.entries(BILL_KEYS);
        boolean complete = field.required(entries, "complete").flag();
        Field total = field.required(entries, "total");
        Field requests = entries.get("requests");
        return new Bill(
                complete,
                figures(total.entries(TOKEN_KEYS)),
                requests == null
                        ? null
                        : requests.items().stream()
                                .map(ScenarioReader::billedRequest)
                                .toList());
    }

    private static BilledRequest billedRequest(Field field) {
        Map<String, Field> entries = field.entries(REQUEST_KEYS);
        Field responseId = entries.get("response_id");
        Field source = entries.get("source");
        return new BilledRequest(
                responseId == null ? null : responseId.text(),
                source == null ? null : source.word(UsageSource.values(), UsageSource::name),
                figures(entries));
    }

    private static Figures figures(Map<String, Field> entries) {
        Map<TokenKey, OptionalLong> figures = new LinkedHashMap<>();
        entries.forEach((name, figure) -> {
            for (TokenKey key : TokenKey.values()) {
                if (key.word().equals(name)) {
                    figures.put(
                            key,
                            figure.isNull() ? OptionalLong.empty() : OptionalLong.of(figure.number(0, Long.MAX_VALUE)));
                }
            }
        });
        return new Figures(figures);
    }
}
