package io.fluxtally.cli;

import io.fluxtally.ledger.reconcile.BillField;
import io.fluxtally.ledger.reconcile.Difference;
import io.fluxtally.ledger.reconcile.Figures;
import io.fluxtally.ledger.reconcile.ReconciliationReport;
import io.fluxtally.ledger.reconcile.ReconciliationReport.Section;
import io.fluxtally.usage.UsageSource;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What a reconciliation came to, for people and for programs.
 *
 * @param passedOver how many records were passed over as repeated before they were reconciled
 */
record ReconcileReport(ReconciliationReport report, long passedOver) {

    private static final String UNKNOWN = "-";

    Map<String, @Nullable Object> toJson() {
        Map<String, @Nullable Object> json = new LinkedHashMap<>();
        json.put("equal", report.isEqual());
        Map<String, Object> bill = new LinkedHashMap<>();
        bill.put("lines_by_id", report.byId());
        bill.put("lines_by_model_and_time", report.byModelAndTime());
        bill.put("lines_passed_over", report.passedOver());
        bill.put("unknown_kinds", new TreeMap<>(report.unknownKinds()));
        bill.put("figures", figures(report.billed()));
        json.put("billed", bill);
        Map<String, Object> ledger = new LinkedHashMap<>();
        ledger.put("requests", report.requests());
        ledger.put("sources", sources(report.sources()));
        ledger.put("repeated", repeated());
        ledger.put("passed_over", report.filteredOut());
        ledger.put("unused", report.unused());
        ledger.put("figures", figures(report.booked()));
        json.put("booked", ledger);
        json.put("matches_equal", report.equal());
        json.put("billed_not_booked", section(report.billedNotBooked()));
        json.put("booked_not_billed", section(report.bookedNotBilled()));
        json.put("differing", section(report.differing()));
        return json;
    }

    /** Records that were there more than once, however far apart. */
    private long repeated() {
        return passedOver + report.repeated();
    }

    private static Map<String, Object> section(Section section) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("count", section.count());
        json.put("billed", figures(section.billed()));
        json.put("booked", figures(section.booked()));
        json.put(
                "listed",
                section.listed().stream().map(ReconcileReport::difference).toList());
        json.put("not_listed", section.notListed());
        return json;
    }

    private static Map<String, Object> difference(Difference difference) {
        Map<String, Object> json = new LinkedHashMap<>();
        putText(json, "response_id", difference.responseId());
        putText(json, "model", difference.model());
        putText(json, "bucket", difference.bucket());
        Difference.Billed billed = difference.billed();
        if (billed != null) {
            Map<String, Object> side = new LinkedHashMap<>();
            side.put("file", billed.file().toString());
            side.put("line", billed.line());
            side.put("lines", billed.lines());
            side.put("figures", figures(billed.figures()));
            json.put("billed", side);
        }
        Difference.Booked booked = difference.booked();
        if (booked != null) {
            Map<String, Object> side = new LinkedHashMap<>();
            side.put("request_id", booked.requestId());
            side.put("requests", booked.requests());
            side.put("sources", sources(booked.sources()));
            side.put("figures", figures(booked.figures()));
            json.put("booked", side);
        }
        if (billed != null && booked != null) {
            json.put("fields", difference.fields().stream().map(BillField::key).toList());
            json.put("because", difference.because().name());
        }
        return json;
    }

    private static void putText(Map<String, Object> json, String name, @Nullable Object value) {
        if (value != null) {
            json.put(name, value.toString());
        }
    }

    private static Map<String, Long> sources(Map<UsageSource, Long> sources) {
        Map<String, Long> json = new LinkedHashMap<>();
        for (UsageSource source : UsageSource.values()) {
            if (sources.containsKey(source)) {
                json.put(source.name(), sources.get(source));
            }
        }
        return json;
    }

    static Map<String, Long> figures(Figures figures) {
        Map<String, Long> json = new LinkedHashMap<>();
        for (BillField field : BillField.FIGURES) {
            figures.get(field).ifPresent(value -> json.put(field.key(), value));
        }
        return json;
    }

    /** The same for people. */
    void print(PrintWriter out) {
        out.printf(
                Locale.ROOT,
                "bill: %,d lines matched by id, %,d by model and time, %,d passed over%n",
                report.byId(),
                report.byModelAndTime(),
                report.passedOver());
        report.unknownKinds().entrySet().stream()
                .sorted(Map.Entry.comparingByKey())
                .forEach(kind -> out.printf(
                        Locale.ROOT,
                        "  of a kind that is not known: %,d of %s%n",
                        kind.getValue(),
                        printable(kind.getKey())));
        out.printf(
                Locale.ROOT,
                "ledger: %,d requests%s, %,d repeated, %,d passed over, %,d used nothing and are not on the bill%n%n",
                report.requests(),
                graded(report.sources()),
                repeated(),
                report.filteredOut(),
                report.unused());
        printTotals(out);
        printSection(out, "billed and not booked", report.billedNotBooked());
        printSection(out, "booked and not billed", report.bookedNotBilled());
        printSection(out, "differing", report.differing());
        out.println();
        out.println(report.isEqual() ? "Ledger and bill are equal." : "Ledger and bill differ.");
    }

    /** What the bill states, of all and of each sort of difference. */
    private void printTotals(PrintWriter out) {
        List<BillField> stated = BillField.FIGURES.stream()
                .filter(field -> report.billed().get(field).isPresent())
                .toList();
        List<BillField> shown = stated.isEmpty() ? List.of(BillField.INPUT, BillField.OUTPUT) : stated;
        List<String> heading = new ArrayList<>(List.of("", "count"));
        shown.forEach(field -> heading.add(field.word()));
        List<List<String>> rows = new ArrayList<>(List.of(heading));
        rows.add(row("billed", null, report.billed(), shown));
        rows.add(row("booked", null, report.booked(), shown));
        rows.add(row("equal", report.equal(), Figures.NONE, shown));
        rows.add(row(
                "billed and not booked",
                report.billedNotBooked().count(),
                report.billedNotBooked().billed(),
                shown));
        rows.add(row(
                "booked and not billed",
                report.bookedNotBilled().count(),
                report.bookedNotBilled().booked(),
                shown));
        rows.add(row(
                "differing, billed",
                report.differing().count(),
                report.differing().billed(),
                shown));
        rows.add(row(
                "differing, booked",
                report.differing().count(),
                report.differing().booked(),
                shown));
        TextTable.print(out, rows);
    }

    private static List<String> row(String label, @Nullable Long count, Figures figures, List<BillField> shown) {
        List<String> row = new ArrayList<>(List.of(label, count == null ? "" : number(count)));
        for (BillField field : shown) {
            row.add(
                    label.equals("equal")
                            ? ""
                            : figures.get(field).isPresent()
                                    ? number(figures.get(field).getAsLong())
                                    : UNKNOWN);
        }
        return row;
    }

    private static void printSection(PrintWriter out, String title, Section section) {
        if (section.count() == 0) {
            return;
        }
        out.printf("%n%s:%n", title);
        for (Difference difference : section.listed()) {
            out.println("  " + line(difference));
        }
        if (section.notListed() > 0) {
            out.printf(Locale.ROOT, "  ... and %,d more%n", section.notListed());
        }
    }

    private static String line(Difference difference) {
        StringBuilder line = new StringBuilder();
        Difference.Billed billed = difference.billed();
        Difference.Booked booked = difference.booked();
        if (billed != null) {
            line.append(billed.file().getFileName()).append(", line ").append(billed.line());
            if (billed.lines() > 1) {
                line.append(" and %,d more".formatted(billed.lines() - 1));
            }
            line.append(": ");
        }
        List<String> who = new ArrayList<>();
        for (Object part : new @Nullable Object[] {difference.responseId(), difference.model(), difference.bucket()}) {
            if (part != null) {
                who.add(printable(part.toString()));
            }
        }
        if (booked != null && billed == null) {
            who.add("request " + printable(booked.requestId())
                    + (booked.requests() > 1 ? " and %,d more".formatted(booked.requests() - 1) : ""));
        }
        line.append(String.join(", ", who)).append(who.isEmpty() ? "" : ": ");
        if (billed != null && booked != null) {
            line.append(difference.fields().stream()
                    .map(field -> "%s %s billed, %s booked"
                            .formatted(field.key(), figure(billed.figures(), field), figure(booked.figures(), field)))
                    .collect(Collectors.joining("; ")));
        } else if (billed != null) {
            line.append(figuresInWords(billed.figures()));
        } else if (booked != null) {
            line.append(figuresInWords(booked.figures()));
        }
        return line.append(booked == null ? "" : graded(booked.sources()))
                .append(
                        difference.because() == Difference.Because.UNEXPLAINED
                                ? ""
                                : ": " + difference.because().words())
                .toString();
    }

    private static String figuresInWords(Figures figures) {
        String words = BillField.FIGURES.stream()
                .filter(field ->
                        field != BillField.REQUESTS && figures.get(field).isPresent())
                .map(field -> field.key() + " " + figure(figures, field))
                .collect(Collectors.joining(", "));
        return words.isEmpty() ? "no figure" : words;
    }

    private static String figure(Figures figures, BillField field) {
        return figures.get(field).isPresent() ? number(figures.get(field).getAsLong()) : UNKNOWN;
    }

    /** The requests without a final figure, as far as there are any. */
    private static String graded(Map<UsageSource, Long> sources) {
        String words = sources.entrySet().stream()
                .filter(source -> source.getKey() != UsageSource.REPORTED)
                .sorted(Map.Entry.comparingByKey())
                .map(source -> number(source.getValue()) + " " + source.getKey())
                .collect(Collectors.joining(", "));
        return words.isEmpty() ? "" : " (%s)".formatted(words);
    }

    /** A text out of a file, without what a terminal would act upon. */
    static String printable(String text) {
        return text.codePoints()
                .map(c -> Character.isISOControl(c) ? '?' : c)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
    }

    static String number(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }
}
