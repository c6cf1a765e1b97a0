package io.fluxtally.ledger.reconcile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("A bill in CSV")
class BillReaderTest {

    private static final BillFormat PLAIN = BillFormat.plain();

    @TempDir
    private Path folder;

    private Path bill(String text) throws IOException {
        return Files.writeString(folder.resolve("bill.csv"), text);
    }

    private static List<BillLine> lines(Path file, BillFormat format) {
        List<BillLine> lines = new ArrayList<>();
        try (BillReader reader = new BillReader(file, format)) {
            for (BillLine line = reader.next(); line != null; line = reader.next()) {
                lines.add(line);
            }
        }
        return lines;
    }

    private static String figures(BillLine line) {
        return Figures.of(line.figures()).toString();
    }

    @Test
    @DisplayName("says ids, models, times and figures by the names of their columns, in any order of them")
    void plain() throws IOException {
        List<BillLine> lines = lines(
                bill("cost,output_tokens,model,time,response_id,input_tokens,cache_read_input_tokens\n"
                        + "0.1,20,qwen-max,2026-01-31 12:00:00,r-1,100,64\n"),
                PLAIN);

        assertThat(lines).singleElement().satisfies(line -> {
            assertThat(line.number()).isEqualTo(2);
            assertThat(line.id()).isEqualTo("r-1");
            assertThat(line.model()).isEqualTo("qwen-max");
            assertThat(line.time()).isEqualTo(Instant.parse("2026-01-31T12:00:00Z"));
            assertThat(figures(line))
                    .isEqualTo("Figures[input_tokens=100, output_tokens=20, cache_read_input_tokens=64]");
            assertThat(line.open()).isZero();
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {",", ";", "\t", "|"})
    @DisplayName("is parted by what its first line has most of")
    void delimiters(String delimiter) throws IOException {
        String text =
                "\"a,b;c\",id,input,output\nx,r-1,1,2\n".replace(",", "\u0000").replace("\u0000", delimiter);

        assertThat(lines(bill(text.replace("\"a" + delimiter + "b;c\"", "\"a,,,,b;;;;c||||\"")), PLAIN))
                .extracting(BillReaderTest::figures)
                .containsExactly("Figures[input_tokens=1, output_tokens=2]");
    }

    @Test
    @DisplayName("may be parted by any character that is named")
    void namedDelimiter() throws IOException {
        assertThat(lines(bill("id^input\nr-1^7\n"), PLAIN.withDelimiter('^')))
                .extracting(BillReaderTest::figures)
                .containsExactly("Figures[input_tokens=7]");
    }

    @ParameterizedTest
    @ValueSource(strings = {"\n", "\r\n", "\r"})
    @DisplayName("may have a byte order mark, any line ends, quotes with line ends in them, spaces, and empty lines")
    void forms(String end) throws IOException {
        String text = "\ufeffid,note,input\n\n\"r-1\",\"two\nlines, and \"\"quotes\"\"\", 1 \n,,\n  r-2\t,,\"2\"\n";

        List<BillLine> lines = lines(bill(text.replace("\n", end)), PLAIN);

        assertThat(lines).extracting(BillLine::id).containsExactly("r-1", "r-2");
        assertThat(lines)
                .extracting(BillReaderTest::figures)
                .containsExactly("Figures[input_tokens=1]", "Figures[input_tokens=2]");
        if (!end.equals("\r")) {
            assertThat(lines).extracting(BillLine::number).containsExactly(3L, 6L);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"\n", "\r\n", "\r"})
    @DisplayName("tells the line of a fault whatever line ends stand in its cells, at their ends too")
    void lineOfFault(String end) throws IOException {
        Path file = bill("id,note,input\nr-1,\"\n\ntwo\n\",1\n\nr-2,\"a\nnote\n\",x\n".replace("\n", end));

        assertThatThrownBy(() -> lines(file, PLAIN)).hasMessageContaining("line 7, column \"input\"");
    }

    @Test
    @DisplayName("need not end with a line end, and may have no line but the first")
    void ends() throws IOException {
        assertThat(lines(bill("id,input\nr-1,1"), PLAIN))
                .extracting(BillLine::number)
                .containsExactly(2L);
        assertThat(lines(bill("id,input"), PLAIN)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "-", "--", "null", "NULL", "N/A", "n/a"})
    @DisplayName("leaves open what an empty cell would say, which is not zero")
    void absent(String cell) throws IOException {
        BillLine line =
                lines(bill("id,input,output\nr-1," + cell + ",0\n"), PLAIN).get(0);

        assertThat(figures(line)).isEqualTo("Figures[output_tokens=0]");
        assertThat(line.open()).isEqualTo(1 << BillField.INPUT.index());
    }

    @ParameterizedTest
    @CsvSource({
        "1000, 1.234, 1234",
        "1000, 0, 0",
        "1000, 12, 12000",
        "1000, 0.0010, 1",
        "1, 12.000, 12",
        "1, 9223372036854775807, 9223372036854775807",
        "1000000, 0.000001, 1"
    })
    @DisplayName("may count in thousands, exactly")
    void units(long unit, String cell, long tokens) throws IOException {
        BillLine line = lines(bill("id,requests,input\nr-1,3," + cell + "\n"), PLAIN.withUnit(unit))
                .get(0);

        assertThat(figures(line)).isEqualTo("Figures[requests=3, input_tokens=%d]".formatted(tokens));
    }

    @ParameterizedTest
    @CsvSource({
        "tokens, 1",
        "Token, 1",
        "千tokens, 1000",
        "千token, 1000",
        "1K tokens, 1000",
        "KTokens, 1000",
        "百万tokens, 1000000",
        "1M tokens, 1000000",
        "1000, 1000"
    })
    @DisplayName("may say the unit in each line")
    void unitColumn(String unit, long tokens) throws IOException {
        assertThat(lines(bill("id,unit,input\nr-1," + unit + ",2\n"), PLAIN))
                .extracting(BillReaderTest::figures)
                .containsExactly("Figures[input_tokens=%d]".formatted(2 * tokens));
    }

    @ParameterizedTest
    @CsvSource({
        "2026-01-31, 2026-01-30T16:00:00Z",
        "2026/1/31, 2026-01-30T16:00:00Z",
        "20260131, 2026-01-30T16:00:00Z",
        "2026-01-31 12:00, 2026-01-31T04:00:00Z",
        "2026-1-31 9:05:07, 2026-01-31T01:05:07Z",
        "2026/01/31 12:00:00.250, 2026-01-31T04:00:00.250Z",
        "2026-01-31T12:00:00, 2026-01-31T04:00:00Z",
        "2026-01-31T12:00:00Z, 2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.5+01:00, 2026-01-31T11:00:00.5Z",
        "2026-01-31 12:00:00 +0100, 2026-01-31T11:00:00Z",
        "1769860800, 2026-01-31T12:00:00Z",
        "1769860800123, 2026-01-31T12:00:00.123Z"
    })
    @DisplayName("says times in many forms, without a zone in that of the bill")
    void times(String cell, Instant time) throws IOException {
        assertThat(lines(bill("id,time,input\nr-1," + cell + ",2\n"), PLAIN.withZone(ZoneId.of("Asia/Shanghai"))))
                .extracting(BillLine::time)
                .containsExactly(time);
    }

    @Test
    @DisplayName("may have other columns, several for one figure, and parts of a column")
    void columns() throws IOException {
        BillFormat format = PLAIN.withColumns(BillField.ID, List.of("what[2]"))
                .withColumns(BillField.MODEL, List.of("odd[1]"))
                .withColumns(BillField.INPUT, List.of("fresh", "cached"))
                .withColumns(BillField.CACHE_READ_INPUT, List.of("cached"))
                .withColumns(BillField.OUTPUT, List.of());

        List<BillLine> lines =
                lines(bill("what,odd[1],fresh,cached,output\na;r-1;x,a;b,10,5,7\nr-2,m,10,,7\n"), format);

        assertThat(lines).extracting(BillLine::id).containsExactly("r-1", null);
        assertThat(lines).extracting(BillLine::model).containsExactly("a;b", "m");
        assertThat(lines)
                .extracting(BillReaderTest::figures)
                .containsExactly("Figures[input_tokens=15, cache_read_input_tokens=5]", "Figures[input_tokens=10]");
        assertThat(lines)
                .extracting(BillLine::open)
                .containsExactly(0, 1 << BillField.INPUT.index() | 1 << BillField.CACHE_READ_INPUT.index());
    }

    @Test
    @DisplayName("may hold other things than are asked for, which are passed over and counted")
    void only() throws IOException {
        BillFormat format =
                PLAIN.withOnly("product", "llm").withOnly("product", "vlm").withOnly("region", "");
        try (BillReader reader =
                new BillReader(bill("id,product,region,input\n1,llm,,1\n2,vlm,,2\n3,oss,,x\n4,llm,cn,y\n"), format)) {
            assertThat(reader.next()).extracting(BillLine::id).isEqualTo("1");
            assertThat(reader.next()).extracting(BillLine::id).isEqualTo("2");
            assertThat(reader.next()).isNull();
            assertThat(reader.lines()).isEqualTo(4);
            assertThat(reader.passedOver()).isEqualTo(2);
        }
    }

    @Test
    @DisplayName("of Alibaba Cloud's says model and kind inside the instance id, and counts in thousands")
    void bailian() throws IOException {
        String text = "\ufeff账期,产品,实例ID,账单日期,用量,用量单位\r\n"
                + "2026-01,百炼,12;llm-x;qwen-max;input_token;app,2026-01-31,1.5,千tokens\r\n"
                + "2026-01,百炼,12;llm-x;qwen-max;input_token_cache;;0,2026-01-31,0.5,千tokens\r\n"
                + "2026-01,百炼,text_token;llm-x;qwen-max;output_token;app,2026-01-31,300,Token\r\n"
                + "2026-01,百炼,12;llm-x;wanx;image_number;app,2026-01-31,3,张\r\n"
                + "2026-01,对象存储,cn-shanghai;standard,2026-01-31,3.2,GB\r\n";
        try (BillReader reader = new BillReader(bill(text), BillFormat.bailian())) {
            BillLine input = reader.next();
            assertThat(input.model()).isEqualTo("qwen-max");
            assertThat(input.id()).isNull();
            assertThat(input.time()).isEqualTo(Instant.parse("2026-01-30T16:00:00Z"));
            assertThat(figures(input)).isEqualTo("Figures[input_tokens=1500]");
            assertThat(figures(reader.next())).isEqualTo("Figures[input_tokens=500, cache_read_input_tokens=500]");
            assertThat(figures(reader.next())).isEqualTo("Figures[output_tokens=300]");
            assertThat(reader.next()).isNull();
            assertThat(reader.passedOver()).isEqualTo(2);
            assertThat(reader.unknownKinds()).containsOnlyKeys("image_number", "none");
        }
        assertThat(BillFormat.bailian().bucket()).isEqualTo(TimeBucket.DAY);
    }

    @Test
    @DisplayName("of Alibaba Cloud's may be in English or as its API has it, and its kinds can be named otherwise")
    void bailianInEnglish() throws IOException {
        BillFormat format = BillFormat.bailian()
                .withKind("thinking_token", Set.of(BillField.OUTPUT, BillField.REASONING_OUTPUT))
                .withKind("output_token", Set.of());
        for (String header : List.of("Instance ID,Usage,Usage Unit", "InstanceID,Usage,UsageUnit")) {
            assertThat(lines(
                            bill(header + "\n1;ws;m;thinking_token;0,2,1K tokens\n1;ws;m;output_token;0,9,1K tokens\n"),
                            format))
                    .extracting(BillReaderTest::figures)
                    .containsExactly("Figures[output_tokens=2000, reasoning_output_tokens=2000]");
        }
    }

    @Test
    @DisplayName("of OpenAI's says spans of time with the number of requests in each")
    void openAi() throws IOException {
        String text =
                "start_time,end_time,project_id,num_model_requests,model,input_tokens,output_tokens,input_cached_tokens\n"
                        + "1769817600,1769904000,proj_x,5,gpt-4o-mini-2024-07-18,5000,1000,4000\n";

        assertThat(lines(bill(text), BillFormat.openAi())).singleElement().satisfies(line -> {
            assertThat(line.time()).isEqualTo(Instant.parse("2026-01-31T00:00:00Z"));
            assertThat(line.model()).isEqualTo("gpt-4o-mini-2024-07-18");
            assertThat(figures(line))
                    .isEqualTo(
                            "Figures[requests=5, input_tokens=5000, output_tokens=1000, cache_read_input_tokens=4000]");
        });
    }

    @Test
    @DisplayName("may be in another character set")
    void charset() throws IOException {
        Path file = Files.write(
                folder.resolve("bill.csv"), "实例ID,用量\n1;ws;m;input_token;0,2\n".getBytes(Charset.forName("GBK")));

        assertThat(lines(file, BillFormat.bailian().withCharset(Charset.forName("GBK"))))
                .extracting(BillReaderTest::figures)
                .containsExactly("Figures[input_tokens=2]");
        assertThatThrownBy(() -> lines(file, BillFormat.bailian()))
                .isInstanceOf(BillException.class)
                .hasMessageContaining("bill.csv, line 1: the file must be in UTF-8, but has bytes");
    }

    static Stream<Arguments> badBills() {
        String header = "id,model,time,input,output\n";
        return Stream.of(
                bad("nothing", "", ", line 1: the first line must name the columns, but the file is empty"),
                bad(
                        "no figures",
                        "id,model\n",
                        ", line 1: there must be a column for input, output or another figure, but there are id, model"),
                bad(
                        "a column twice",
                        "id,input,input\n",
                        ", line 1, column \"input\": a column must be there once, but is \"input\""),
                bad(
                        "a figure in words",
                        header + "r,m,,many,1\n",
                        ", line 2, column \"input\": must be a number of digits, not negative, but is \"many\""),
                bad(
                        "a negative figure",
                        header + "r,m,,1,1\nr,m,,1,-5\n",
                        ", line 3, column \"output\": must be a number of digits, not negative, but is \"-5\""),
                bad(
                        "a part of a token",
                        header + "r,m,,1.5,1\n",
                        ", line 2, column \"input\": must be a whole number that fits a long, but is \"1.5\""),
                bad(
                        "a figure beyond all",
                        header + "r,m,,9223372036854775808,1\n",
                        ", line 2, column \"input\": must be a whole number that fits a long, but is \"9223372036854775808\""),
                bad(
                        "an exponent",
                        header + "r,m,,1E5,1\n",
                        ", line 2, column \"input\": must be a number of digits, not negative, but is \"1E5\""),
                bad(
                        "a comma in a number",
                        header + "r,m,,\"1,234\",1\n",
                        ", line 2, column \"input\": must be a number of digits, not negative, but is \"1,234\""),
                bad(
                        "a time that is none",
                        header + "r,m,yesterday,1,1\n",
                        ", line 2, column \"time\": must be a time such as 2026-01-31, "),
                bad(
                        "a day that is none",
                        header + "r,m,2026-02-30,1,1\n",
                        ", line 2, column \"time\": must be a time such as "),
                bad(
                        "a unit that is none",
                        "id,unit,input\nr,seconds,1\n",
                        ", line 2, column \"unit\": must be tokens, thousands or millions of them, or a number, but is \"seconds\""),
                bad(
                        "too few cells",
                        header + "r,m,,1\n",
                        ", line 2: must have 5 cells, as the first line has, but has 4"),
                bad(
                        "too many cells",
                        header + "r,m,,1,2,3\n",
                        ", line 2: must have 5 cells, as the first line has, but has 6"),
                bad("a quote in the middle", header + "r,\"m\"x,,1,2\n", ", line 2: must be CSV, but failed with: "),
                bad(
                        "a quote that never ends",
                        header + "r,\"m,,1,2\nr,m,,1,2\n",
                        ", line 2: must be CSV, but failed with: "),
                bad(
                        "a line after quoted ones",
                        header + "r,\"m\nn\no\",,1,2\nr,m,,x,2\n",
                        ", line 5, column \"input\": "));
    }

    private static Arguments bad(String what, String text, String complaint) {
        return Arguments.argumentSet(what, text, complaint);
    }

    @ParameterizedTest
    @MethodSource("badBills")
    @DisplayName("is refused with the file, the line, the column, the rule and the value")
    void bad(String text, String complaint) throws IOException {
        Path file = bill(text);

        assertThatThrownBy(() -> lines(file, PLAIN))
                .isInstanceOf(BillException.class)
                .hasMessageStartingWith(file.toString())
                .hasMessageContaining(complaint);
    }

    @Test
    @DisplayName("is refused when a quote that never ends would fill the memory")
    void endlessQuote() throws IOException {
        Path file = bill("id,input\n\"r" + "x,1\n".repeat(BillReader.MAX_LINE));

        assertThatThrownBy(() -> lines(file, PLAIN))
                .isInstanceOf(BillException.class)
                .hasMessageContaining(
                        "a line must have at most 1048576 characters, but has more; is a quote not closed?");
    }

    @Test
    @DisplayName("may be longer than a line may be")
    void longBill() throws IOException {
        assertThat(lines(bill("id,input\n" + "r-1234567890,1\n".repeat(100_000)), PLAIN))
                .hasSize(100_000);
    }

    @Test
    @DisplayName("is refused where it is not there, or is a directory, or lacks a column that was named")
    void unreadable() throws IOException {
        assertThatThrownBy(() -> lines(folder.resolve("nowhere.csv"), PLAIN))
                .isInstanceOf(BillException.class)
                .hasMessageContaining("nowhere.csv: must be a readable file, but failed with: ");
        assertThatThrownBy(() -> lines(folder, PLAIN))
                .isInstanceOf(BillException.class)
                .hasMessageContaining(": must be a readable file, but is a directory");
        Path file = bill("id,input\n");
        assertThatThrownBy(() -> lines(file, PLAIN.withColumns(BillField.OUTPUT, List.of("out"))))
                .hasMessageContaining(", line 1: there must be a column \"out\", but there are id, input");
        assertThatThrownBy(() -> lines(file, PLAIN.withOnly("product", "llm")))
                .hasMessageContaining(", line 1: there must be a column \"product\", but there are id, input");
    }

    @Test
    @DisplayName("shows of a value no more than a line, and nothing that a terminal acts upon")
    void shown() throws IOException {
        Path file = bill("id,input\nr,\"y\u001b[31m" + "x".repeat(500) + "\"\n");

        assertThatThrownBy(() -> lines(file, PLAIN))
                .hasMessageEndingWith("but is \"y [31m" + "x".repeat(74) + "...\"")
                .hasMessageNotContaining("\u001b");
    }

    @Test
    @DisplayName("is in UTF-8 unless said otherwise")
    void utf8() throws IOException {
        Path file = Files.write(folder.resolve("bill.csv"), "id,input\ncaf\u00e9,1\n".getBytes(StandardCharsets.UTF_8));

        assertThat(lines(file, PLAIN)).extracting(BillLine::id).containsExactly("caf\u00e9");
    }
}
