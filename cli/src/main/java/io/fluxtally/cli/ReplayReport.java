package io.fluxtally.cli;

import io.fluxtally.conformance.engine.AppRun;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/**
 * What one replay came to.
 *
 * @param measured the app with Fluxtally
 * @param stock the app without
 */
record ReplayReport(Scenario scenario, Engine engine, AppRun measured, AppRun stock) {

    Map<String, @Nullable Object> toJson() {
        Map<String, @Nullable Object> json = new LinkedHashMap<>();
        json.put("scenario", scenario.name());
        json.put("engine", engine.word());
        json.put("client", scenario.client().word());
        json.put("mode", scenario.mode().word());
        json.put("billed", billed());
        json.put("fluxtally", counted());
        json.put("stock", stockJson());
        json.put("app_error", error(measured.error()));
        return json;
    }

    private Map<String, Object> billed() {
        Map<String, Object> json = new LinkedHashMap<>();
        scenario.billed()
                .total()
                .stated()
                .forEach((key, tokens) -> tokens.ifPresent(value -> json.put(key.word(), value)));
        return json;
    }

    private Map<String, Object> counted() {
        UsageSum sum = measured.usage().sum();
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("complete", sum.isComplete());
        json.put("total", figures(sum.isUnknown() ? null : sum.total()));
        json.put(
                "requests",
                measured.usage().requests().stream().map(ReplayReport::request).toList());
        return json;
    }

    private static Map<String, Object> request(RequestUsage request) {
        Map<String, Object> json = new LinkedHashMap<>();
        if (request.responseId() != null) {
            json.put("response_id", request.responseId());
        }
        json.put("source", request.source().name());
        json.put("outcome", request.outcome().name());
        json.putAll(figures(request.usage()));
        return json;
    }

    private static Map<String, Object> figures(@Nullable TokenUsage usage) {
        Map<String, Object> json = new LinkedHashMap<>();
        if (usage != null) {
            json.put("input_tokens", usage.inputTokens());
            json.put("output_tokens", usage.outputTokens());
            json.put("total_tokens", usage.totalTokens());
            for (TokenPart part : TokenPart.values()) {
                usage.part(part).ifPresent(tokens -> json.put(part.key(), tokens));
            }
        }
        return json;
    }

    private Map<String, @Nullable Object> stockJson() {
        Usage read = stock.lastReadUsage();
        Map<String, @Nullable Object> json = new LinkedHashMap<>();
        json.put("input_tokens", read == null ? 0 : read.getPromptTokens());
        json.put("output_tokens", read == null ? 0 : read.getCompletionTokens());
        json.put("total_tokens", read == null ? 0 : read.getTotalTokens());
        json.put("error", error(stock.error()));
        return json;
    }

    private static @Nullable String error(@Nullable Throwable error) {
        return error == null ? null : error.toString();
    }

    /** The same for people. */
    void print(PrintWriter out) {
        out.printf(
                "%s, %s, %s %s%n",
                scenario.name(),
                engine.word(),
                scenario.client().word(),
                scenario.mode().word());
        UsageTable table = new UsageTable(out);
        table.printTotalHeading();
        table.printBill("billed", scenario.billed().total());
        UsageSum sum = measured.usage().sum();
        table.printTotal(sum.isComplete() ? "Fluxtally" : "Fluxtally (incomplete)", sum);
        Usage read = stock.lastReadUsage();
        table.printTotal(
                "stock",
                read == null ? 0 : read.getPromptTokens(),
                read == null ? 0 : read.getCompletionTokens(),
                read == null ? 0 : read.getTotalTokens());
        if (measured.error() != null) {
            out.printf("  app error: %s%n", error(measured.error()));
        }
        out.println();
    }
}
