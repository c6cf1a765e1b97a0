package io.fluxtally.ledger.reconcile;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How a bill in CSV is read: which columns hold what, in which unit and time zone, and how its characters are written.
 *
 * <p>An empty cell, and one that says {@code -}, {@code --}, {@code null} or {@code N/A}, is absent, which is not zero. Of
 * several columns for one figure the figures are added up.
 *
 * <p>Immutable and safe for use by any number of threads; each {@code with} method gives a changed copy.
 */
public final class BillFormat {

    private static final ZoneId SHANGHAI = ZoneId.of("Asia/Shanghai");

    private final Map<BillField, List<ColumnSource>> columns;
    private final Map<String, Set<BillField>> kinds;
    private final Map<String, Set<String>> where;
    private final Map<String, String> models;
    private final long unit;
    private final ZoneId zone;
    private final Charset charset;
    private final @Nullable Character delimiter;
    private final TimeBucket bucket;
    private final boolean booksAtEnd;

    private BillFormat(Draft draft) {
        this.columns = draft.columns;
        this.kinds = draft.kinds;
        this.where = draft.where;
        this.models = draft.models;
        this.unit = draft.unit;
        this.zone = draft.zone;
        this.charset = draft.charset;
        this.delimiter = draft.delimiter;
        this.bucket = draft.bucket;
        this.booksAtEnd = draft.booksAtEnd;
    }

    /** A copy under change. */
    private static final class Draft {

        private Map<BillField, List<ColumnSource>> columns = new EnumMap<>(BillField.class);
        private Map<String, Set<BillField>> kinds = Map.of();
        private Map<String, Set<String>> where = Map.of();
        private Map<String, String> models = Map.of();
        private long unit = 1;
        private ZoneId zone = ZoneOffset.UTC;
        private Charset charset = StandardCharsets.UTF_8;
        private @Nullable Character delimiter;
        private TimeBucket bucket = TimeBucket.HOUR;
        private boolean booksAtEnd;

        Draft() {}

        Draft(BillFormat format) {
            columns.putAll(format.columns);
            kinds = format.kinds;
            where = format.where;
            models = format.models;
            unit = format.unit;
            zone = format.zone;
            charset = format.charset;
            delimiter = format.delimiter;
            bucket = format.bucket;
            booksAtEnd = format.booksAtEnd;
        }

        Draft column(BillField field, ColumnSource... sources) {
            columns.put(field, List.of(sources));
            return this;
        }
    }

    /**
     * A bill whose columns have the names that Fluxtally itself gives to things ({@code response_id}, {@code model},
     * {@code time}, {@code input_tokens}, {@code cache_read_input_tokens} and so on), or the common older ones
     * ({@code prompt_tokens}, {@code cached_tokens}). What is not there is not compared. Buckets of an hour, UTC.
     */
    public static BillFormat plain() {
        Draft draft = new Draft();
        for (BillField figure : BillField.FIGURES) {
            draft.column(figure, ColumnSource.known(figure.key(), figure.word()));
        }
        return new BillFormat(draft.column(
                        BillField.ID, ColumnSource.known("response_id", "request_id", "id", "Request ID", "RequestId"))
                .column(BillField.MODEL, ColumnSource.known("model", "model_name", "Model"))
                .column(BillField.TIME, ColumnSource.known("time", "timestamp", "ts", "start_time", "date", "Time"))
                .column(BillField.UNIT, ColumnSource.known("unit"))
                .column(BillField.REQUESTS, ColumnSource.known("requests", "count"))
                .column(BillField.INPUT, ColumnSource.known("input_tokens", "prompt_tokens", "input"))
                .column(BillField.OUTPUT, ColumnSource.known("output_tokens", "completion_tokens", "output"))
                .column(
                        BillField.CACHE_READ_INPUT,
                        ColumnSource.known("cache_read_input_tokens", "cached_tokens", "cache_read_input"))
                .column(
                        BillField.REASONING_OUTPUT,
                        ColumnSource.known("reasoning_output_tokens", "reasoning_tokens", "reasoning_output")));
    }

    /**
     * The export of Alibaba Cloud's bill details ("Billable Item" as the statistic item) for Model Studio (Bailian,
     * DashScope). A line is one kind of tokens of one model; it has no request id.
     *
     * <p>Known: what the column of the instance id holds, {@code ApiKeyID;WorkspaceID;ModelName;Input/Output
     * Type;Invocation Channel} with the type {@code output_token} in Alibaba's example, from its notice "Changes of the
     * Bill Details Page" of 16 December 2025 (alibabacloud.com, {@code model_studio_changes_of_the_bill_details_page_624});
     * before that date the first part was the billing type, and model and type stood in the same places. That the unit is
     * thousands of tokens ({@code 千tokens}), and that cached input has a type of its own, {@code input_token_cache}, is
     * from public code that reads {@code DescribeInstanceBill}, which gives the same figures. That bills are made when a
     * call is completed is from Alibaba's page "Billing and cost management"; so a request counts at the time of its end.
     *
     * <p>Not certain: the names of the columns of a CSV, which follow the console's language; those tried here are the
     * Chinese and English ones of the console's page, and the fields of {@code DescribeInstanceBill}. That
     * {@code input_token} leaves out what {@code input_token_cache} counts, so that both together are the inclusive input.
     * Other types (of batch, of explicit caches, of images) are not known: their lines are passed over, and the report
     * says how many of each. Name one by {@link #withKind}. Buckets are of a day, in China's time, because what a line is about
     * is a day in a daily export and an hour in an hourly one.
     */
    public static BillFormat bailian() {
        Draft draft = new Draft();
        ColumnSource instance = ColumnSource.known("实例ID", "实例ID/名称", "Instance ID", "InstanceID", "InstanceId");
        draft.column(BillField.MODEL, instance.part(3))
                .column(BillField.KIND, instance.part(4))
                .column(BillField.QUANTITY, ColumnSource.known("用量", "Usage"))
                .column(BillField.UNIT, ColumnSource.known("用量单位", "Usage Unit", "UsageUnit"))
                .column(
                        BillField.TIME,
                        ColumnSource.known(
                                "账单开始时间",
                                "账单日期",
                                "消费时间",
                                "日期",
                                "Usage Start Time",
                                "UsageStartTime",
                                "Billing Date",
                                "BillingDate",
                                "Date"));
        draft.kinds = new LinkedHashMap<>(Map.of(
                "input_token", Set.of(BillField.INPUT),
                "input_token_cache", Set.of(BillField.INPUT, BillField.CACHE_READ_INPUT),
                "output_token", Set.of(BillField.OUTPUT)));
        draft.zone = SHANGHAI;
        draft.bucket = TimeBucket.DAY;
        draft.booksAtEnd = true;
        return new BillFormat(draft);
    }

    /**
     * OpenAI's usage export for completions. A line is the requests of a model in a span of time; it has no request id.
     *
     * <p>Known: the names {@code start_time} (seconds since 1970), {@code model}, {@code num_model_requests},
     * {@code input_tokens}, {@code output_tokens} and {@code input_cached_tokens}, that cached tokens are part of input, that
     * {@code model} is the name with its date ({@code gpt-4o-mini-2024-07-18}) and filled only when grouped by model, and that
     * spans are of a minute, an hour or a day, a day unless asked for: from OpenAI's API reference, "Completions usage" of
     * the organization's usage ({@code GET /organization/usage/completions}).
     *
     * <p>Not certain: that the file which the dashboard exports has these names; {@code start_time_iso} is tried before
     * {@code start_time}. Whether {@code input_tokens} has audio in it is not said, so columns of audio are not read. By which
     * time of a request OpenAI places it is not said; here it is its start.
     */
    public static BillFormat openAi() {
        Draft draft = new Draft();
        draft.column(BillField.MODEL, ColumnSource.known("model"))
                .column(BillField.TIME, ColumnSource.known("start_time_iso", "start_time"))
                .column(BillField.REQUESTS, ColumnSource.known("num_model_requests"))
                .column(BillField.INPUT, ColumnSource.known("input_tokens"))
                .column(BillField.OUTPUT, ColumnSource.known("output_tokens"))
                .column(BillField.CACHE_READ_INPUT, ColumnSource.known("input_cached_tokens"));
        draft.bucket = TimeBucket.DAY;
        return new BillFormat(draft);
    }

    /**
     * The same with other columns for a field.
     *
     * @param names the columns, whose figures are added up; a name may end with a number in brackets, {@code Instance ID[3]}
     *     for the third of the parts of the cell between semicolons, unless a column has all of it for a name; none if
     *     the bill does not state the field
     */
    public BillFormat withColumns(BillField field, List<String> names) {
        Draft draft = new Draft(this);
        List<ColumnSource> sources = names.stream().map(ColumnSource::named).toList();
        if (sources.size() > 1 && !field.isFigure()) {
            throw new IllegalArgumentException(
                    "%s must have one column, but has %d: %s".formatted(field.word(), names.size(), names));
        }
        draft.columns.put(field, sources);
        return new BillFormat(draft);
    }

    /** The same with what a kind of line states; nothing if lines of it are to be passed over. */
    public BillFormat withKind(String kind, Set<BillField> figures) {
        for (BillField figure : figures) {
            if (!figure.isFigure()) {
                throw new IllegalArgumentException(
                        "the kind \"%s\" must be figures, but has %s".formatted(kind, figure.word()));
            }
        }
        Draft draft = new Draft(this);
        draft.kinds = new LinkedHashMap<>(kinds);
        draft.kinds.put(kind, Set.copyOf(figures));
        return new BillFormat(draft);
    }

    /** The same that passes over lines whose cell in a column is not the value, or one of the values given for it before. */
    public BillFormat withOnly(String column, String value) {
        Draft draft = new Draft(this);
        draft.where = new LinkedHashMap<>(where);
        Set<String> values = new HashSet<>(where.getOrDefault(column, Set.of()));
        values.add(value);
        draft.where.put(column, Set.copyOf(values));
        return new BillFormat(draft);
    }

    /** The same with a model that the bill calls otherwise than the ledger does. */
    public BillFormat withModel(String billed, String booked) {
        Draft draft = new Draft(this);
        draft.models = new LinkedHashMap<>(models);
        draft.models.put(billed, booked);
        return new BillFormat(draft);
    }

    /** The same with counts of tokens in so many tokens, where no column says the unit. */
    public BillFormat withUnit(long tokens) {
        if (tokens < 1) {
            throw new IllegalArgumentException("unit must be 1 or more tokens, but is " + tokens);
        }
        Draft draft = new Draft(this);
        draft.unit = tokens;
        return new BillFormat(draft);
    }

    /** The same with times without a zone, and buckets, in a time zone. */
    public BillFormat withZone(ZoneId value) {
        Draft draft = new Draft(this);
        draft.zone = value;
        return new BillFormat(draft);
    }

    /** The same in another character set than UTF-8. */
    public BillFormat withCharset(Charset value) {
        Draft draft = new Draft(this);
        draft.charset = value;
        return new BillFormat(draft);
    }

    /** The same with cells parted by a character; unless set, by that of comma, semicolon, tab and bar which the first line has most of. */
    public BillFormat withDelimiter(char value) {
        Draft draft = new Draft(this);
        draft.delimiter = value;
        return new BillFormat(draft);
    }

    /** The same with other buckets of time for lines without a request id. */
    public BillFormat withBucket(TimeBucket value) {
        Draft draft = new Draft(this);
        draft.bucket = value;
        return new BillFormat(draft);
    }

    /** The same in which a request is in the bucket of its end, or else of its start. */
    public BillFormat withBooksAtEnd(boolean value) {
        Draft draft = new Draft(this);
        draft.booksAtEnd = value;
        return new BillFormat(draft);
    }

    /**
     * The time that a text means, in the forms that are read in bills: a date, a date and a time, with or without an offset, or
     * seconds or milliseconds since 1970.
     *
     * @param zone the time zone of a text that names none
     * @throws java.time.DateTimeException if it means none
     */
    public static Instant timeOf(String text, ZoneId zone) {
        return BillReader.timeOf(text, zone);
    }

    /** The time zone of times that name none, and of buckets. */
    public ZoneId zone() {
        return zone;
    }

    /** The buckets of time. */
    public TimeBucket bucket() {
        return bucket;
    }

    boolean booksAtEnd() {
        return booksAtEnd;
    }

    List<ColumnSource> columns(BillField field) {
        return columns.getOrDefault(field, List.of());
    }

    /** What a kind of line states, or null for a kind that is not known. */
    @Nullable
    Set<BillField> figuresOf(String kind) {
        return kinds.get(kind);
    }

    List<String> kinds() {
        return new ArrayList<>(kinds.keySet());
    }

    /** What the ledger calls a model of the bill. */
    @Nullable
    String bookedModel(@Nullable String billed) {
        return billed == null ? null : models.getOrDefault(billed, billed);
    }

    Map<String, Set<String>> where() {
        return where;
    }

    long unit() {
        return unit;
    }

    Charset charset() {
        return charset;
    }

    @Nullable
    Character delimiter() {
        return delimiter;
    }
}
