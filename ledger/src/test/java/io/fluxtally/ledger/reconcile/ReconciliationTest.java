package io.fluxtally.ledger.reconcile;

import static io.fluxtally.ledger.reconcile.Requests.NOON;
import static io.fluxtally.ledger.reconcile.Requests.booked;
import static io.fluxtally.ledger.reconcile.Requests.reported;
import static io.fluxtally.ledger.reconcile.Requests.request;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("Holding a ledger against a bill")
class ReconciliationTest {

    private static final String IDS = "response_id,input_tokens,output_tokens\n";
    private static final String BUCKETS = "model,time,requests,input_tokens\n";

    @TempDir
    private Path folder;

    private List<Path> bill(String text) throws IOException {
        return List.of(Files.writeString(folder.resolve("bill.csv"), text));
    }

    private static Reconciliation plain() {
        return Reconciliation.of(BillFormat.plain());
    }

    private static String figures(Figures figures) {
        return figures.toString().replace("Figures", "");
    }

    @Test
    @DisplayName("finds nothing where each request is billed as it is booked")
    void equal() throws IOException {
        ReconciliationReport report =
                plain().run(booked(reported("a", 10, 1), reported("b", 20, 2)), bill(IDS + "r-b,20,2\nr-a,10,1\n"));

        assertThat(report.isEqual()).isTrue();
        assertThat(report.equal()).isEqualTo(2);
        assertThat(report.byId()).isEqualTo(2);
        assertThat(report.byModelAndTime()).isZero();
        assertThat(figures(report.billed())).isEqualTo("[input_tokens=30, output_tokens=3]");
        assertThat(figures(report.booked()))
                .isEqualTo("[requests=2, input_tokens=30, output_tokens=3, total_tokens=33]");
    }

    @Test
    @DisplayName("names what is billed and not booked, booked and not billed, and each figure that differs")
    void different() throws IOException {
        ReconciliationReport report = plain().run(
                        booked(reported("a", 10, 1), reported("b", 20, 2), reported("c", 30, 3)),
                        bill(IDS + "r-x,7,7\nr-a,10,1\nr-b,20,5\n"));

        assertThat(report.isEqual()).isFalse();
        assertThat(report.equal()).isEqualTo(1);
        assertThat(report.billedNotBooked().listed()).singleElement().satisfies(difference -> {
            assertThat(difference.responseId()).isEqualTo("r-x");
            assertThat(difference.booked()).isNull();
            assertThat(difference.billed().line()).isEqualTo(2);
            assertThat(figures(difference.billed().figures())).isEqualTo("[input_tokens=7, output_tokens=7]");
        });
        assertThat(report.bookedNotBilled().listed()).singleElement().satisfies(difference -> {
            assertThat(difference.responseId()).isEqualTo("r-c");
            assertThat(difference.model()).isEqualTo("m");
            assertThat(difference.billed()).isNull();
            assertThat(difference.booked().requestId()).isEqualTo("c");
            assertThat(difference.booked().sources()).isEqualTo(Map.of(UsageSource.REPORTED, 1L));
        });
        assertThat(report.differing().listed()).singleElement().satisfies(difference -> {
            assertThat(difference.responseId()).isEqualTo("r-b");
            assertThat(difference.fields()).containsExactly(BillField.OUTPUT);
            assertThat(difference.because()).isEqualTo(Difference.Because.UNEXPLAINED);
        });
        assertThat(figures(report.differing().billed())).isEqualTo("[input_tokens=20, output_tokens=5]");
        assertThat(figures(report.differing().booked()))
                .isEqualTo("[requests=1, input_tokens=20, output_tokens=2, total_tokens=22]");
        assertThat(figures(report.billedNotBooked().billed())).isEqualTo("[input_tokens=7, output_tokens=7]");
        assertThat(figures(report.bookedNotBilled().booked()))
                .isEqualTo("[requests=1, input_tokens=30, output_tokens=3, total_tokens=33]");
    }

    @Test
    @DisplayName("compares only what the bill states")
    void stated() throws IOException {
        assertThat(plain().run(booked(reported("a", 10, 1)), bill(IDS + "r-a,10,\n"))
                        .isEqual())
                .isTrue();
        assertThat(plain().run(booked(reported("a", 10, 1)), bill("id,output\nr-a,1\n"))
                        .isEqual())
                .isTrue();
    }

    @Test
    @DisplayName("takes a part that the ledger lacks for different if something was billed for it, and not if 0 was")
    void absentParts() throws IOException {
        String header = "id,input_tokens,cache_read_input_tokens\n";
        RequestUsage cached = request("a")
                .usage(
                        TokenUsage.builder()
                                .inputTokens(10)
                                .part(TokenPart.CACHE_READ_INPUT, 4)
                                .build(),
                        UsageSource.REPORTED)
                .build();

        assertThat(plain().run(booked(reported("a", 10, 1)), bill(header + "r-a,10,0\n"))
                        .isEqual())
                .isTrue();
        assertThat(plain().run(booked(cached), bill(header + "r-a,10,4\n")).isEqual())
                .isTrue();
        for (String billed : List.of("0", "5")) {
            assertThat(plain().run(booked(cached), bill(header + "r-a,10," + billed + "\n"))
                            .differing()
                            .listed())
                    .singleElement()
                    .extracting(Difference::fields)
                    .isEqualTo(List.of(BillField.CACHE_READ_INPUT));
        }
        assertThat(plain().run(booked(reported("a", 10, 1)), bill(header + "r-a,10,4\n"))
                        .differing()
                        .count())
                .isEqualTo(1);
    }

    @Test
    @DisplayName("says of a difference that the ledger graded the figure, and leaves it a difference")
    void graded() throws IOException {
        RequestUsage partial =
                request("a").usage(TokenUsage.of(10, 1), UsageSource.PARTIAL).build();
        RequestUsage missing = request("b").usage(null, UsageSource.MISSING).build();
        RequestUsage estimated =
                request("c").usage(TokenUsage.of(10, 9), UsageSource.ESTIMATED).build();
        RequestUsage tooMuch =
                request("d").usage(TokenUsage.of(10, 9), UsageSource.PARTIAL).build();
        RequestUsage right =
                request("e").usage(TokenUsage.of(10, 9), UsageSource.PARTIAL).build();

        ReconciliationReport report = plain().run(
                        booked(partial, missing, estimated, tooMuch, right),
                        bill(IDS + "r-a,10,5\nr-b,10,5\nr-c,10,5\nr-d,10,5\nr-e,10,9\n"));

        assertThat(report.differing().listed())
                .extracting(Difference::responseId, Difference::because)
                .containsExactly(
                        tuple("r-a", Difference.Because.BOOKED_IS_A_LOWER_BOUND),
                        tuple("r-b", Difference.Because.BOOKED_IS_A_LOWER_BOUND),
                        tuple("r-c", Difference.Because.BOOKED_IS_AN_ESTIMATE),
                        tuple("r-d", Difference.Because.UNEXPLAINED));
        assertThat(report.equal()).isEqualTo(1);
        assertThat(report.sources())
                .isEqualTo(Map.of(UsageSource.PARTIAL, 3L, UsageSource.MISSING, 1L, UsageSource.ESTIMATED, 1L));
    }

    @Test
    @DisplayName(
            "takes requests that are not on the bill for explained by those of which nothing is known, up to their number")
    void gradedRequests() throws IOException {
        BookedRequests ledger = booked(
                reported("a", 10, 1),
                request("b").usage(null, UsageSource.MISSING).build(),
                request("c").usage(null, UsageSource.MISSING).build());

        assertThat(because(ledger, 1)).isEqualTo(Difference.Because.BOOKED_IS_A_LOWER_BOUND);
        assertThat(because(ledger, 2)).isEqualTo(Difference.Because.BOOKED_IS_A_LOWER_BOUND);
        assertThat(because(ledger, 0)).isEqualTo(Difference.Because.UNEXPLAINED);
        assertThat(because(ledger, 4)).isEqualTo(Difference.Because.UNEXPLAINED);
    }

    private Difference.Because because(BookedRequests ledger, int requests) throws IOException {
        return plain().run(ledger, bill(BUCKETS + "m,2026-01-31 12:00," + requests + ",15\n"))
                .differing()
                .listed()
                .get(0)
                .because();
    }

    @Test
    @DisplayName("shows a request that has no response id, and so no line, as booked and not billed")
    void withoutId() throws IOException {
        RequestUsage missing =
                request("b").responseId(null).usage(null, UsageSource.MISSING).build();

        ReconciliationReport report = plain().run(booked(reported("a", 10, 1), missing), bill(IDS + "r-a,10,1\n"));

        assertThat(report.bookedNotBilled().listed()).singleElement().satisfies(difference -> {
            assertThat(difference.responseId()).isNull();
            assertThat(difference.booked().requestId()).isEqualTo("b");
            assertThat(difference.booked().sources()).isEqualTo(Map.of(UsageSource.MISSING, 1L));
        });
    }

    @Test
    @DisplayName("takes a request that used nothing for equal to one that is not billed, and counts it")
    void unused() throws IOException {
        RequestUsage rejected =
                request("b").usage(TokenUsage.ZERO, UsageSource.REPORTED).build();
        RequestUsage rejectedWithoutId = request("c")
                .responseId(null)
                .usage(TokenUsage.ZERO, UsageSource.REPORTED)
                .build();

        ReconciliationReport report =
                plain().run(booked(reported("a", 10, 1), rejected, rejectedWithoutId), bill(IDS + "r-a,10,1\n"));
        ReconciliationReport inBuckets =
                plain().run(booked(reported("a", 10, 1), rejected), bill(BUCKETS + "m,2026-01-31 12:30,1,10\n"));

        assertThat(report.isEqual()).isTrue();
        assertThat(report.unused()).isEqualTo(2);
        assertThat(inBuckets.isEqual()).isTrue();
    }

    @Test
    @DisplayName("takes a line of nothing for no difference, unless it has an id")
    void nothingBilled() throws IOException {
        assertThat(plain().run(booked(), bill(BUCKETS + "m,2026-01-31 12:30,0,0\n"))
                        .isEqual())
                .isTrue();
        assertThat(plain().run(booked(), bill(BUCKETS + "m,2026-01-31 12:30,1,0\n"))
                        .isEqual())
                .isFalse();
        assertThat(plain().run(booked(), bill(IDS + "r-a,0,0\n")).isEqual()).isFalse();
    }

    @Test
    @DisplayName("adds up lines of one id, and requests of one")
    void sums() throws IOException {
        assertThat(plain().run(booked(reported("a", 10, 2)), bill(IDS + "r-a,4,\nr-a,6,2\n"))
                        .isEqual())
                .isTrue();
        ReconciliationReport twice = plain().run(booked(reported("a", 10, 1)), bill(IDS + "r-a,10,1\nr-a,10,1\n"));
        assertThat(twice.differing().listed()).singleElement().satisfies(difference -> {
            assertThat(difference.billed().lines()).isEqualTo(2);
            assertThat(difference.fields()).containsExactly(BillField.INPUT, BillField.OUTPUT);
        });
    }

    @Test
    @DisplayName("takes a figure that some lines leave empty for a lower bound")
    void openCells() throws IOException {
        String bill = IDS + "r-a,4,2\nr-a,,\n";
        assertThat(plain().run(booked(reported("a", 10, 2)), bill(bill)).isEqual())
                .isTrue();
        assertThat(plain().run(booked(reported("a", 3, 2)), bill(bill)).isEqual())
                .isFalse();
    }

    @Test
    @DisplayName("takes a request once that the ledger has more than once")
    void repeated() throws IOException {
        ReconciliationReport report = plain().run(
                        booked(reported("a", 10, 1), reported("b", 1, 1), reported("a", 10, 1)),
                        bill(IDS + "r-a,10,1\nr-b,1,1\n"));

        assertThat(report.isEqual()).isTrue();
        assertThat(report.requests()).isEqualTo(2);
        assertThat(report.repeated()).isEqualTo(1);
    }

    @Test
    @DisplayName("goes by model and bucket of time where the bill has no ids, with the requests of a line counted")
    void buckets() throws IOException {
        BookedRequests ledger = booked(
                reported("a", 10, 1),
                request("b").usage(TokenUsage.of(5, 1), UsageSource.REPORTED).build(),
                RequestUsage.builder("c", NOON.plus(Duration.ofHours(1)))
                        .requestModel("m")
                        .usage(TokenUsage.of(3, 1), UsageSource.REPORTED)
                        .build(),
                RequestUsage.builder("d", NOON)
                        .requestModel("asked")
                        .responseModel("other")
                        .usage(TokenUsage.of(4, 1), UsageSource.REPORTED)
                        .build());
        String equal = BUCKETS
                + "m,2026-01-31 12:00,1,10\nm,2026-01-31 12:59,1,5\nm,2026-01-31 13:00,1,3\nother,2026-01-31 12:00,1,4\n";

        ReconciliationReport report = plain().run(ledger, bill(equal));
        assertThat(report.isEqual()).isTrue();
        assertThat(report.equal()).isEqualTo(3);
        assertThat(report.byModelAndTime()).isEqualTo(4);

        ReconciliationReport different =
                plain().run(ledger, bill(equal.replace("other,2026-01-31 12:00,1,4", "m,2026-01-31 12:01,1,1")));
        assertThat(different.differing().listed()).singleElement().satisfies(difference -> {
            assertThat(difference.model()).isEqualTo("m");
            assertThat(difference.bucket()).isEqualTo(NOON);
            assertThat(difference.responseId()).isNull();
            assertThat(difference.fields()).containsExactly(BillField.REQUESTS, BillField.INPUT);
            assertThat(difference.billed().lines()).isEqualTo(3);
            assertThat(difference.booked().requests()).isEqualTo(2);
        });
        assertThat(different.bookedNotBilled().listed())
                .singleElement()
                .extracting(Difference::model)
                .isEqualTo("other");
    }

    @Test
    @DisplayName("places a request by its start, or by its end")
    void placed() throws IOException {
        BookedRequests ledger = booked(request("a")
                .usage(TokenUsage.of(10, 1), UsageSource.REPORTED)
                .duration(Duration.ofHours(1))
                .build());
        String bill = BUCKETS + "m,2026-01-31 13:00,1,10\n";

        assertThat(plain().run(ledger, bill(bill)).isEqual()).isFalse();
        assertThat(Reconciliation.of(BillFormat.plain().withBooksAtEnd(true))
                        .run(ledger, bill(bill))
                        .isEqual())
                .isTrue();
    }

    @Test
    @DisplayName("places a request at any time, also at one that no clock shows")
    void oddTimes() throws IOException {
        BookedRequests ledger = booked(
                RequestUsage.builder("a", Instant.MAX)
                        .usage(TokenUsage.of(10, 1), UsageSource.REPORTED)
                        .duration(Duration.ofHours(1))
                        .build(),
                RequestUsage.builder("b", Instant.MIN)
                        .usage(TokenUsage.of(10, 1), UsageSource.REPORTED)
                        .build());

        assertThat(Reconciliation.of(BillFormat.bailian().withColumns(BillField.INPUT, List.of("input_tokens")))
                        .run(ledger, bill("BillingDate,input_tokens\n2026-01-31,1\n"))
                        .bookedNotBilled()
                        .count())
                .isEqualTo(2);
    }

    @Test
    @DisplayName("goes by time alone, by model alone, or by neither, where the bill has no more")
    void coarse() throws IOException {
        BookedRequests ledger = booked(
                reported("a", 10, 1),
                RequestUsage.builder("b", NOON.plus(Duration.ofHours(5)))
                        .requestModel("n")
                        .usage(TokenUsage.of(5, 1), UsageSource.REPORTED)
                        .build());

        assertThat(plain().run(ledger, bill("time,input\n2026-01-31 12:00,10\n2026-01-31 17:00,5\n"))
                        .equal())
                .isEqualTo(2);
        assertThat(plain().run(ledger, bill("model,input\nm,10\nn,5\n")).equal())
                .isEqualTo(2);
        assertThat(plain().run(ledger, bill("input\n15\n")).equal()).isEqualTo(1);
    }

    @Test
    @DisplayName("matches lines without an id with what no line has by id")
    void mixed() throws IOException {
        String header = "response_id,model,time,input_tokens\n";

        ReconciliationReport report = plain().run(
                        booked(
                                reported("a", 10, 1),
                                reported("b", 20, 1),
                                request("c")
                                        .responseId(null)
                                        .usage(TokenUsage.of(30, 1), UsageSource.REPORTED)
                                        .build()),
                        bill(header + "r-a,,,10\n,m,2026-01-31 12:00,50\n"));

        assertThat(report.isEqual()).isTrue();
        assertThat(report.equal()).isEqualTo(2);
        assertThat(report.byId()).isEqualTo(1);
        assertThat(report.byModelAndTime()).isEqualTo(1);
    }

    @Test
    @DisplayName("calls a model as the ledger does")
    void models() throws IOException {
        assertThat(Reconciliation.of(BillFormat.plain().withModel("vendor/M", "m"))
                        .run(booked(reported("a", 10, 1)), bill(BUCKETS + "vendor/M,2026-01-31 12:00,1,10\n"))
                        .isEqual())
                .isTrue();
    }

    @Test
    @DisplayName("leaves out, on both sides, what is not in the time asked for, and requests that are not asked for")
    void filters() throws IOException {
        BookedRequests ledger = booked(
                reported("a", 10, 1),
                RequestUsage.builder("b", NOON.plus(Duration.ofDays(1)))
                        .responseId("r-b")
                        .usage(TokenUsage.of(5, 1), UsageSource.REPORTED)
                        .build(),
                request("c").provider("dashscope").build());
        String bill = "id,time,input\nr-a,2026-01-31 12:00,10\nr-x,2026-01-30 12:00,7\n";

        ReconciliationReport report = plain().withTimes(
                        Instant.parse("2026-01-31T00:00:00Z"), Instant.parse("2026-02-01T00:00:00Z"))
                .withOnly(request -> "openai".equals(request.provider()))
                .run(ledger, bill(bill));

        assertThat(report.isEqual()).isTrue();
        assertThat(report.filteredOut()).isEqualTo(2);
        assertThat(report.passedOver()).isEqualTo(1);
        assertThat(figures(report.billed())).isEqualTo("[input_tokens=10]");
    }

    @Test
    @DisplayName("reads Alibaba Cloud's bill: a line for input and one for output, each of a day in China")
    void bailian() throws IOException {
        RequestUsage late = RequestUsage.builder("a", Instant.parse("2026-01-31T15:59:00Z"))
                .requestModel("qwen-max")
                .usage(
                        TokenUsage.builder()
                                .inputTokens(2000)
                                .outputTokens(300)
                                .part(TokenPart.CACHE_READ_INPUT, 500)
                                .build(),
                        UsageSource.REPORTED)
                .duration(Duration.ofMinutes(2))
                .build();
        String bill = "实例ID,账单日期,用量,用量单位\n"
                + "1;ws;qwen-max;input_token;app,2026-02-01,1.5,千tokens\n"
                + "1;ws;qwen-max;input_token_cache;app,2026-02-01,0.5,千tokens\n"
                + "1;ws;qwen-max;output_token;app,2026-02-01,0.3,千tokens\n";

        ReconciliationReport report = Reconciliation.of(BillFormat.bailian()).run(booked(late), bill(bill));

        assertThat(report.isEqual()).isTrue();
        assertThat(figures(report.billed()))
                .isEqualTo("[input_tokens=2000, output_tokens=300, cache_read_input_tokens=500]");
    }

    @Test
    @DisplayName(
            "lists no more than it is told to, the first in the order of the bill and of the ledger, and counts the rest")
    void limit() throws IOException {
        StringBuilder text = new StringBuilder(IDS);
        List<RequestUsage> ledger = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            text.append("x-").append(i).append(",1,1\n");
            ledger.add(reported("b-" + i, 2, 2));
        }

        ReconciliationReport report = plain().withLimit(3).run(ledger::forEach, bill(text.toString()));

        assertThat(report.billedNotBooked().listed())
                .extracting(Difference::responseId)
                .containsExactly("x-0", "x-1", "x-2");
        assertThat(report.billedNotBooked().notListed()).isEqualTo(497);
        assertThat(report.bookedNotBilled().listed())
                .extracting(Difference::responseId)
                .containsExactly("r-b-0", "r-b-1", "r-b-2");
        assertThat(plain().withLimit(0)
                        .run(ledger::forEach, bill(text.toString()))
                        .billedNotBooked())
                .satisfies(section -> assertThat(section.listed()).isEmpty())
                .satisfies(section -> assertThat(section.count()).isEqualTo(500));
        assertThatIllegalArgumentException().isThrownBy(() -> plain().withLimit(-1));
    }

    @Test
    @DisplayName("refuses a line that can be matched by nothing, and a span of time that ends before it begins")
    void refused() throws IOException {
        List<Path> bill = bill(BUCKETS + "m,2026-01-31 12:00,1,1\nm,,1,1\n");
        assertThatThrownBy(() -> plain().run(booked(), bill))
                .isInstanceOf(BillException.class)
                .hasMessageEndingWith("bill.csv, line 3: a line must have a request id or a time, but has neither");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> plain().withTimes(NOON, NOON))
                .withMessageContaining("must be before");
    }

    @Test
    @DisplayName("takes several bills for one, and refuses those that cannot be")
    void severalBills() throws IOException {
        Path first = Files.writeString(folder.resolve("first.csv"), IDS + "r-a,10,1\n");
        Path second = Files.writeString(folder.resolve("second.csv"), "id;input\nr-x;7\n");
        Path third = Files.writeString(folder.resolve("third.csv"), BUCKETS);

        ReconciliationReport report = plain().run(booked(reported("a", 10, 1)), List.of(first, second));

        assertThat(report.billedNotBooked().listed())
                .singleElement()
                .extracting(difference -> difference.billed().file())
                .isEqualTo(second);
        assertThatThrownBy(() -> plain().run(booked(), List.of(first, third)))
                .hasMessageContaining("third.csv, line 1: several bills must have the same columns");
    }

    @Test
    @DisplayName("leaves no file behind, also where it fails half way")
    void leavesNothing() throws IOException {
        Path spill = Files.createDirectory(folder.resolve("spill"));
        StringBuilder text = new StringBuilder(IDS);
        for (int i = 0; i < 60_000; i++) {
            text.append("r-").append(i).append(",1,1\n");
        }
        Reconciliation reconciliation = plain().withSpillDirectory(spill);

        reconciliation.run(booked(), bill(text.toString()));
        assertThat(list(spill)).isEmpty();
        List<Path> broken = bill(text + "r-z,x,1\n");
        assertThatThrownBy(() -> reconciliation.run(booked(), broken)).isInstanceOf(BillException.class);
        assertThat(list(spill)).isEmpty();
        List<Path> whole = bill(text.toString());
        assertThatThrownBy(() -> reconciliation.run(
                        action -> {
                            assertThat(list(spill)).hasSize(1);
                            throw new IllegalStateException("of the ledger");
                        },
                        whole))
                .hasMessage("of the ledger");
        assertThat(list(spill)).isEmpty();
    }

    private static List<Path> list(Path directory) {
        try (Stream<Path> files = Files.list(directory)) {
            return files.toList();
        } catch (IOException failed) {
            throw new AssertionError(failed);
        }
    }

    @Test
    @DisplayName("tells how far it is")
    void progress() throws IOException {
        List<String> told = new ArrayList<>();

        plain().withProgress((what, done) -> told.add(what + " " + done))
                .run(booked(reported("a", 10, 1), reported("b", 1, 1)), bill(IDS + "r-a,10,1\nr-b,1,1\n"));

        assertThat(told).containsExactly("bill.csv 1", "bill.csv 2", "ledger 1", "ledger 2");
    }
}
