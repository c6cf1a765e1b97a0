package io.fluxtally.ledger.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** Bills derived from ledgers, with lines left out, added and changed: the report names exactly these. */
@Label("Holding any ledger against a bill derived from it")
class ReconciliationPropertyTest {

    private static final Instant START = Instant.parse("2026-01-31T00:00:00Z");

    /** What a bucket comes to, on one side. */
    private record Sum(long requests, long input, long output) {

        static final Sum NONE = new Sum(0, 0, 0);

        Sum plus(long moreInput, long moreOutput) {
            return new Sum(requests + 1, input + moreInput, output + moreOutput);
        }
    }

    private static TokenUsage usage(Random random) {
        return TokenUsage.of(1 + random.nextInt(1000), random.nextInt(100));
    }

    private static String line(String id, TokenUsage usage) {
        return id + "," + usage.inputTokens() + "," + usage.outputTokens() + "\n";
    }

    private static ReconciliationReport report(
            List<RequestUsage> ledger, String header, List<String> lines, int maxKeys) throws IOException {
        Path bill = Files.createTempFile("bill", ".csv");
        try {
            Files.writeString(bill, header + String.join("", lines));
            return Reconciliation.of(BillFormat.plain())
                    .withLimit(Integer.MAX_VALUE)
                    .withMaxKeys(maxKeys)
                    .run(ledger::forEach, List.of(bill));
        } finally {
            Files.delete(bill);
        }
    }

    private static Set<String> ids(ReconciliationReport.Section section) {
        assertThat(section.notListed()).isZero();
        return section.listed().stream().map(Difference::responseId).collect(Collectors.toCollection(TreeSet::new));
    }

    @Property(tries = 150)
    @Label("names by id exactly what was left out, added and changed")
    void byId(
            @ForAll Random random,
            @ForAll @IntRange(max = 600) int requests,
            @ForAll @IntRange(min = 1, max = 50) int maxKeys)
            throws IOException {
        List<RequestUsage> ledger = new ArrayList<>();
        List<String> lines = new ArrayList<>();
        Set<String> dropped = new TreeSet<>();
        Set<String> changed = new TreeSet<>();
        Set<String> added = new TreeSet<>();
        long equal = 0;
        for (int i = 0; i < requests; i++) {
            TokenUsage usage = usage(random);
            String id = "r-" + i;
            RequestUsage request = RequestUsage.builder("k-" + i, START.plusSeconds(i))
                    .responseId(id)
                    .usage(usage, UsageSource.REPORTED)
                    .build();
            ledger.add(request);
            if (random.nextInt(10) == 0) {
                ledger.add(request);
            }
            switch (random.nextInt(6)) {
                case 0 -> dropped.add(id);
                case 1 -> {
                    changed.add(id);
                    lines.add(line(id, TokenUsage.of(usage.inputTokens(), usage.outputTokens() + 1)));
                }
                case 2 -> {
                    added.add("x-" + i);
                    lines.add(line("x-" + i, usage(random)));
                    lines.add(line(id, usage));
                    equal++;
                }
                default -> {
                    lines.add(line(id, usage));
                    equal++;
                }
            }
        }
        Collections.shuffle(lines, random);
        Collections.shuffle(ledger, random);

        // A bill of no line at all has nothing to be matched by, and all of the ledger is missing from it.
        ReconciliationReport report = report(ledger, "response_id,input_tokens,output_tokens\n", lines, maxKeys);

        assertThat(ids(report.bookedNotBilled())).isEqualTo(dropped);
        assertThat(ids(report.billedNotBooked())).isEqualTo(added);
        assertThat(ids(report.differing())).isEqualTo(changed);
        assertThat(report.equal()).isEqualTo(equal);
        assertThat(report.isEqual()).isEqualTo(dropped.isEmpty() && added.isEmpty() && changed.isEmpty());
        assertThat(report.billed().get(BillField.INPUT).orElse(0)
                        - report.booked().get(BillField.INPUT).orElse(0))
                .isEqualTo(report.billedNotBooked()
                                .billed()
                                .get(BillField.INPUT)
                                .orElse(0)
                        - report.bookedNotBilled().booked().get(BillField.INPUT).orElse(0)
                        + report.differing().billed().get(BillField.INPUT).orElse(0)
                        - report.differing().booked().get(BillField.INPUT).orElse(0));
    }

    @Property(tries = 150)
    @Label("names by model and bucket exactly those whose sums differ")
    void byBucket(
            @ForAll Random random,
            @ForAll @IntRange(max = 400) int requests,
            @ForAll @IntRange(min = 1, max = 20) int maxKeys)
            throws IOException {
        List<RequestUsage> ledger = new ArrayList<>();
        List<String> lines = new ArrayList<>();
        Map<String, Sum> booked = new TreeMap<>();
        Map<String, Sum> billed = new TreeMap<>();
        for (int i = 0; i < requests; i++) {
            TokenUsage usage = usage(random);
            String model = "m" + random.nextInt(3);
            long hour = random.nextInt(30);
            Instant time = START.plusSeconds(hour * 3600 + random.nextInt(3600));
            String bucket = START.plusSeconds(hour * 3600) + " " + model;
            int what = random.nextInt(40);
            if (what != 0) {
                ledger.add(RequestUsage.builder("k-" + i, time)
                        .requestModel(model)
                        .usage(usage, UsageSource.REPORTED)
                        .build());
                booked.merge(
                        bucket,
                        Sum.NONE.plus(usage.inputTokens(), usage.outputTokens()),
                        (sum, one) -> sum.plus(usage.inputTokens(), usage.outputTokens()));
            }
            if (what != 1) {
                long input = usage.inputTokens() + (what == 2 ? 1 : 0);
                lines.add("%s,%s,1,%d,%d%n".formatted(model, time, input, usage.outputTokens()));
                billed.merge(
                        bucket,
                        Sum.NONE.plus(input, usage.outputTokens()),
                        (sum, one) -> sum.plus(input, usage.outputTokens()));
            }
        }
        Collections.shuffle(lines, random);

        ReconciliationReport report =
                report(ledger, "model,time,requests,input_tokens,output_tokens\n", lines, maxKeys);

        Set<String> onlyBooked = new TreeSet<>(booked.keySet());
        onlyBooked.removeAll(billed.keySet());
        Set<String> onlyBilled = new TreeSet<>(billed.keySet());
        onlyBilled.removeAll(booked.keySet());
        Set<String> different = new TreeSet<>(billed.keySet());
        different.retainAll(booked.keySet());
        different.removeIf(bucket -> billed.get(bucket).equals(booked.get(bucket)));
        if (lines.isEmpty()) {
            // There is no bucket where there is no line: each request is named by itself.
            assertThat(report.bookedNotBilled().count()).isEqualTo(ledger.size());
        } else {
            assertThat(buckets(report.bookedNotBilled())).isEqualTo(onlyBooked);
        }
        assertThat(buckets(report.billedNotBooked())).isEqualTo(onlyBilled);
        assertThat(buckets(report.differing())).isEqualTo(different);
    }

    private static Set<String> buckets(ReconciliationReport.Section section) {
        return section.listed().stream()
                .map(difference -> difference.bucket() + " " + difference.model())
                .collect(Collectors.toCollection(TreeSet::new));
    }
}
