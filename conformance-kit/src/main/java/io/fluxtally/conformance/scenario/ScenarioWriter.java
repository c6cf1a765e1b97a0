package io.fluxtally.conformance.scenario;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.DumperOptions;
import org.yaml.snakeyaml.DumperOptions.NonPrintableStyle;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.Tag;
import org.yaml.snakeyaml.representer.Representer;

/**
 * The writer of scenario files: what it writes, {@link ScenarioReader} reads back as an equal scenario. Stateless, and so safe for
 * use by many threads.
 */
public final class ScenarioWriter {

    private ScenarioWriter() {}

    /**
     * A scenario as the text of its file.
     *
     * @param comment lines for people at the top of the file
     */
    public static String write(Scenario scenario, List<String> comment) {
        DumperOptions options = new DumperOptions();
        options.setSplitLines(false);
        options.setIndicatorIndent(2);
        options.setIndentWithIndicator(true);
        options.setNonPrintableStyle(NonPrintableStyle.ESCAPE);
        StringBuilder file = new StringBuilder();
        comment.stream()
                .flatMap(String::lines)
                .forEach(line -> file.append("# ").append(line).append('\n'));
        return file.append(new Yaml(new Texts(options), options).dump(entries(scenario)))
                .toString();
    }

    /** Quotes what YAML takes for the end of a line, and HTTP does not: it would come back as another one. */
    private static final class Texts extends Representer {

        private static final Pattern LINE_ENDS = Pattern.compile("[\\r\\x{85}\\x{2028}\\x{2029}]");

        Texts(DumperOptions options) {
            super(options);
        }

        @Override
        protected Node representScalar(Tag tag, String value, DumperOptions.@Nullable ScalarStyle style) {
            boolean quoted = LINE_ENDS.matcher(value).find();
            return super.representScalar(tag, value, quoted ? DumperOptions.ScalarStyle.DOUBLE_QUOTED : style);
        }
    }

    private static Map<String, Object> entries(Scenario scenario) {
        Map<String, Object> entries = new LinkedHashMap<>();
        entries.put("name", scenario.name());
        entries.put("family", scenario.family().word());
        entries.put("client", scenario.client().word());
        entries.put("mode", scenario.mode().word());
        if (!scenario.tools().isEmpty()) {
            entries.put("tools", scenario.tools());
        }
        if (!scenario.options().isEmpty()) {
            entries.put("options", scenario.options());
        }
        if (scenario.cancelAfter() != null) {
            entries.put("cancel_after", scenario.cancelAfter());
        }
        entries.put(
                "responses",
                scenario.responses().stream().map(ScenarioWriter::response).toList());
        Bill billed = scenario.billed();
        Map<String, Object> bill = new LinkedHashMap<>();
        bill.put("complete", billed.complete());
        bill.put("total", figures(billed.total()));
        if (billed.requests() != null) {
            bill.put(
                    "requests",
                    billed.requests().stream().map(ScenarioWriter::request).toList());
        }
        entries.put("billed", bill);
        return entries;
    }

    private static Map<String, Object> response(Response response) {
        Map<String, Object> entries = new LinkedHashMap<>();
        if (response.status() != 200) {
            entries.put("status", response.status());
        }
        if (!response.headers().isEmpty()) {
            entries.put("headers", response.headers());
        }
        entries.put("body", response.body());
        if (response.end() != End.COMPLETE) {
            entries.put("end", response.end().word());
        }
        return entries;
    }

    private static Map<String, @Nullable Object> request(BilledRequest request) {
        Map<String, @Nullable Object> entries = new LinkedHashMap<>();
        if (request.responseId() != null) {
            entries.put("response_id", request.responseId());
        }
        if (request.source() != null) {
            entries.put("source", request.source().name());
        }
        entries.putAll(figures(request.figures()));
        return entries;
    }

    private static Map<String, @Nullable Object> figures(Figures figures) {
        Map<String, @Nullable Object> entries = new LinkedHashMap<>();
        figures.stated().forEach((key, figure) -> entries.put(key.word(), number(figure)));
        return entries;
    }

    private static @Nullable Long number(OptionalLong figure) {
        return figure.isPresent() ? figure.getAsLong() : null;
    }
}
