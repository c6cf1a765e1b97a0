package io.fluxtally.usage;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.PropertyDefaults;
import net.jqwik.api.Provide;

@Label("the views of a run")
@PropertyDefaults(tries = 300, edgeCases = EdgeCasesMode.NONE)
class RunUsageViewsTest {

    @Provide
    Arbitrary<List<RequestUsage>> runs() {
        return Samples.runs();
    }

    @Property
    @Label("every view adds up to the total, whatever labels are missing")
    void viewsAddUp(@ForAll("runs") List<RequestUsage> requests) {
        RunUsage usage = usageOf(requests);

        assertAddsUp(usage, usage.byModel());
        assertAddsUp(usage, usage.byAgent());
        assertAddsUp(usage, usage.byNode());
        assertAddsUp(usage, usage.byRound());
    }

    private static void assertAddsUp(RunUsage usage, Map<?, UsageSum> view) {
        assertThat(view.values().stream().map(UsageSum::total).reduce(TokenUsage.ZERO, TokenUsage::plus))
                .isEqualTo(usage.total());
        assertThat(view.values().stream().mapToLong(UsageSum::requests).sum())
                .isEqualTo(usage.sum().requests());
        assertThat(view.values().stream().mapToLong(UsageSum::unreported).sum()).isEqualTo(usage.unreported());
        for (TokenPart part : TokenPart.values()) {
            assertThat(view.values().stream()
                            .mapToLong(sum -> sum.reportedBy(part))
                            .sum())
                    .isEqualTo(usage.sum().reportedBy(part));
        }
    }

    @Property
    @Label("a sum is the same whether sums were asked for on the way or not")
    void sumsOnTheWay(@ForAll("runs") List<RequestUsage> requests, @ForAll int asked) {
        RunTally tally = new RunTally();
        UsageSum expected = UsageSum.EMPTY;
        for (int i = 0; i < requests.size(); i++) {
            tally.add(requests.get(i));
            expected = expected.plus(requests.get(i));
            if ((asked >> i & 1) == 1) {
                assertThat(tally.usage().sum()).isEqualTo(expected);
            }
        }

        assertThat(tally.usage().sum()).isEqualTo(expected);
    }

    @Property
    @Label("the total is the sum of the figures that the requests have, in the order they were booked")
    void totalIsTheSum(@ForAll("runs") List<RequestUsage> requests) {
        RunUsage usage = usageOf(requests);

        assertThat(usage.requests()).isEqualTo(requests);
        assertThat(usage.total())
                .isEqualTo(requests.stream()
                        .filter(request -> request.usage() != null)
                        .map(RequestUsage::usage)
                        .reduce(TokenUsage.ZERO, TokenUsage::plus));
        long unreported = requests.stream()
                .filter(request -> request.source() != UsageSource.REPORTED)
                .count();
        assertThat(usage.unreported()).isEqualTo(unreported);
        assertThat(usage.isComplete()).isEqualTo(unreported == 0);
    }

    private static RunUsage usageOf(List<RequestUsage> requests) {
        RunTally tally = new RunTally();
        requests.forEach(tally::add);
        return tally.usage();
    }
}
