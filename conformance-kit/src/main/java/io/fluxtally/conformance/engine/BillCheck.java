package io.fluxtally.conformance.engine;

import io.fluxtally.conformance.scenario.Bill;
import io.fluxtally.conformance.scenario.BilledRequest;
import io.fluxtally.conformance.scenario.Figures;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** Holds what was counted against a bill. */
public final class BillCheck {

    private BillCheck() {}

    /**
     * Every field in which a count differs from a bill, such as {@code total.input_tokens: billed 460, counted 260}; none
     * if they agree. A list of requests has those that the provider refused too, with zeros, or leaves all of them out.
     */
    public static List<String> differences(Bill billed, RunUsage counted) {
        List<String> differences = new ArrayList<>();
        compare(differences, "complete", billed.complete(), counted.isComplete());
        UsageSum sum = counted.sum();
        compareFigures(differences, "total", billed.total(), sum.isUnknown() ? null : sum.total());
        List<BilledRequest> requests = billed.requests();
        if (requests != null) {
            compareRequests(differences, requests, counted);
        }
        return differences;
    }

    private static void compareRequests(List<String> differences, List<BilledRequest> billed, RunUsage counted) {
        List<RequestUsage> all = counted.requests();
        List<RequestUsage> requests = billed.size() == all.size()
                ? all
                : all.stream()
                        .filter(request -> request.outcome() != RequestOutcome.REJECTED)
                        .toList();
        compare(differences, "requests", billed.size(), requests.size());
        for (int i = 0; i < Math.min(billed.size(), requests.size()); i++) {
            String name = "requests[%d]".formatted(i);
            BilledRequest expected = billed.get(i);
            RequestUsage request = requests.get(i);
            if (expected.responseId() != null) {
                compare(differences, name + ".response_id", expected.responseId(), request.responseId());
            }
            if (expected.source() != null) {
                compare(
                        differences,
                        name + ".source",
                        expected.source().name(),
                        request.source().name());
            }
            compareFigures(differences, name, expected.figures(), request.usage());
        }
    }

    private static void compareFigures(
            List<String> differences, String name, Figures billed, @Nullable TokenUsage counted) {
        billed.stated().forEach((key, figure) -> {
            OptionalLong count = counted == null ? OptionalLong.empty() : count(key, counted);
            compare(differences, name + '.' + key.word(), text(figure), text(count));
        });
    }

    private static OptionalLong count(TokenKey key, TokenUsage usage) {
        return switch (key) {
            case INPUT_TOKENS -> OptionalLong.of(usage.inputTokens());
            case OUTPUT_TOKENS -> OptionalLong.of(usage.outputTokens());
            case TOTAL_TOKENS -> OptionalLong.of(usage.totalTokens());
            default -> usage.part(part(key));
        };
    }

    private static TokenPart part(TokenKey key) {
        for (TokenPart part : TokenPart.values()) {
            if (part.key().equals(key.word())) {
                return part;
            }
        }
        throw new IllegalArgumentException(key + " is no part");
    }

    private static String text(OptionalLong tokens) {
        return tokens.isPresent() ? Long.toString(tokens.getAsLong()) : "absent";
    }

    private static void compare(List<String> differences, String field, Object billed, @Nullable Object counted) {
        if (!billed.equals(counted)) {
            differences.add("%s: billed %s, counted %s".formatted(field, billed, counted));
        }
    }
}
