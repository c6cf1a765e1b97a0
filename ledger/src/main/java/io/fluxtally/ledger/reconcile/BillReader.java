package io.fluxtally.ledger.reconcile;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.format.ResolverStyle;
import java.time.temporal.ChronoField;
import java.time.temporal.TemporalAccessor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;
import org.jspecify.annotations.Nullable;

/** Reads a bill line by line, in the memory of the longest line that may be. Not safe for use by several threads. */
final class BillReader implements Closeable {

    /** A line of more characters is refused, so that a quote that never ends does not fill the memory. */
    static final int MAX_LINE = 1 << 20;

    /** So many kinds that are not known are told apart. */
    private static final int MAX_KINDS = 50;

    private static final String DELIMITERS = ",;\t|";
    private static final Set<String> ABSENT = Set.of("", "-", "--", "null", "n/a");
    private static final Pattern NUMBER = Pattern.compile("\\d{1,30}(\\.\\d{1,30})?");
    private static final Pattern DIGITS = Pattern.compile("\\d{8,13}");
    private static final Pattern LINE_BREAK = Pattern.compile("\r\n|\r|\n");
    private static final Pattern PART = Pattern.compile("(.+)\\[([1-9]\\d?)]", Pattern.DOTALL);
    private static final DateTimeFormatter TIME = new DateTimeFormatterBuilder()
            .appendPattern("uuuu-M-d[ H:mm[:ss]]")
            .appendFraction(ChronoField.NANO_OF_SECOND, 0, 9, true)
            .appendPattern("[ ][XXX][XX]")
            .toFormatter(Locale.ROOT)
            .withResolverStyle(ResolverStyle.STRICT);

    /** A column that was found: which cell, and which part of it. */
    private record Cell(int index, int part, String name) {}

    private final Path file;
    private final BillFormat format;
    private final BoundedReader characters;
    private final CSVParser parser;
    private final Iterator<CSVRecord> records;
    private final int width;
    private final Map<BillField, List<Cell>> cells = new HashMap<>();
    private final Map<Cell, Set<String>> where = new HashMap<>();
    private final List<BillField> stated = new ArrayList<>();
    private final boolean byKind;
    private final Map<String, Long> unknownKinds = new HashMap<>();
    private long passedOver;
    private long lines;

    /**
     * Opens a bill and reads its first line.
     *
     * @throws BillException if it cannot be read, or has not the columns
     */
    BillReader(Path file, BillFormat format) {
        this.file = file;
        this.format = format;
        BoundedReader opened = null;
        try {
            if (Files.isDirectory(file)) {
                throw BillException.of(file, "must be a readable file", "is a directory");
            }
            Character given = format.delimiter();
            char delimiter = given == null ? delimiterOf(file, format) : given;
            opened = open(file, format);
            characters = opened;
            parser = CSVFormat.DEFAULT
                    .builder()
                    .setDelimiter(delimiter)
                    .setIgnoreSurroundingSpaces(true)
                    .setIgnoreEmptyLines(true)
                    .get()
                    .parse(characters);
            records = parser.iterator();
        } catch (IOException failed) {
            closeQuietly(opened);
            throw unreadable(failed, 1);
        }
        try {
            CSVRecord header = nextRecord();
            if (header == null) {
                throw BillException.of(file, 1, "the first line must name the columns", "the file is empty");
            }
            List<String> names = header.stream().map(String::strip).toList();
            width = names.size();
            for (BillField field : BillField.values()) {
                List<Cell> found = new ArrayList<>();
                for (ColumnSource source : format.columns(field)) {
                    Cell cell = find(source, names);
                    if (cell != null) {
                        found.add(cell);
                    }
                }
                if (!found.isEmpty()) {
                    cells.put(field, found);
                }
            }
            for (Map.Entry<String, Set<String>> only : format.where().entrySet()) {
                Cell cell = find(ColumnSource.named(only.getKey()), names);
                if (cell != null) {
                    where.put(cell, only.getValue());
                }
            }
            byKind = cells.containsKey(BillField.KIND) && cells.containsKey(BillField.QUANTITY);
            BillField.FIGURES.stream().filter(cells::containsKey).forEach(stated::add);
            if (!byKind && stated.isEmpty()) {
                throw BillException.of(
                        file,
                        1,
                        "there must be a column for input, output or another figure",
                        "there are " + listed(names));
            }
        } catch (RuntimeException refused) {
            closeQuietly(parser);
            throw refused;
        }
    }

    private @Nullable Cell find(ColumnSource source, List<String> names) {
        for (String name : source.names()) {
            int at = names.indexOf(name);
            int part = source.part();
            if (at < 0) {
                Matcher withPart = PART.matcher(name);
                if (withPart.matches()) {
                    at = names.indexOf(withPart.group(1));
                    part = Integer.parseInt(withPart.group(2));
                }
            }
            if (at >= 0) {
                if (names.lastIndexOf(names.get(at)) != at) {
                    throw BillException.of(file, 1, names.get(at), "a column must be there once", names.get(at));
                }
                return new Cell(at, part, names.get(at));
            }
        }
        if (source.required()) {
            throw BillException.of(
                    file,
                    1,
                    "there must be a column \"%s\""
                            .formatted(BillException.shown(source.names().get(0))),
                    "there are " + listed(names));
        }
        return null;
    }

    private static String listed(List<String> names) {
        return BillException.shown(String.join(", ", names.subList(0, Math.min(names.size(), 40))));
    }

    /** The character between cells: that which the first line has most of, outside quotes. */
    private char delimiterOf(Path path, BillFormat how) throws IOException {
        int[] counts = new int[DELIMITERS.length()];
        try (Reader in = open(path, how)) {
            boolean quoted = false;
            boolean some = false;
            for (int c = in.read(), read = 0; c >= 0 && read < MAX_LINE; c = in.read(), read++) {
                if (c == '"') {
                    quoted = !quoted;
                } else if (!quoted && (c == '\n' || c == '\r')) {
                    if (some) {
                        break;
                    }
                } else if (!quoted && DELIMITERS.indexOf(c) >= 0) {
                    counts[DELIMITERS.indexOf(c)]++;
                }
                some |= !Character.isWhitespace(c);
            }
        }
        int most = 0;
        for (int i = 1; i < counts.length; i++) {
            if (counts[i] > counts[most]) {
                most = i;
            }
        }
        return DELIMITERS.charAt(most);
    }

    private static BoundedReader open(Path file, BillFormat format) throws IOException {
        return new BoundedReader(new InputStreamReader(
                Files.newInputStream(file),
                format.charset()
                        .newDecoder()
                        .onMalformedInput(CodingErrorAction.REPORT)
                        .onUnmappableCharacter(CodingErrorAction.REPORT)));
    }

    /** Whether the bill has a column of request ids. */
    boolean hasIds() {
        return cells.containsKey(BillField.ID);
    }

    /** Whether the bill has a column of models. */
    boolean hasModels() {
        return cells.containsKey(BillField.MODEL);
    }

    /** Whether the bill has a column of times. */
    boolean hasTimes() {
        return cells.containsKey(BillField.TIME);
    }

    /** How many lines were read, without the first. */
    long lines() {
        return lines;
    }

    /** How many lines were passed over because they are not about what is asked for. */
    long passedOver() {
        return passedOver;
    }

    /** How many lines had a kind that is not known, by the kind. */
    Map<String, Long> unknownKinds() {
        return unknownKinds;
    }

    /**
     * The next line that is about requests, or null after the last.
     *
     * @throws BillException if it is not in the format
     */
    @Nullable
    BillLine next() {
        CSVRecord record;
        while ((record = nextRecord()) != null) {
            if (record.stream().allMatch(String::isBlank)) {
                continue;
            }
            lines++;
            long number = lineOf(record);
            checkWidth(record, number);
            if (!isAsked(record)) {
                passedOver++;
                continue;
            }
            BillLine line = line(record, number);
            if (line != null) {
                return line;
            }
            passedOver++;
        }
        return null;
    }

    private @Nullable CSVRecord nextRecord() {
        characters.begin();
        long begin = parser.getCurrentLineNumber() + 1;
        try {
            return records.hasNext() ? records.next() : null;
        } catch (UncheckedIOException failed) {
            throw unreadable(failed.getCause(), begin);
        } catch (IllegalStateException wrong) {
            throw wrong.getCause() instanceof IOException cause ? unreadable(cause, begin) : wrong;
        }
    }

    private BillException unreadable(@Nullable IOException failed, long line) {
        if (failed instanceof BoundedReader.TooLongException) {
            return BillException.of(
                    file,
                    line,
                    "a line must have at most %d characters".formatted(MAX_LINE),
                    "has more; is a quote not closed?");
        }
        if (failed instanceof CharacterCodingException) {
            return BillException.of(
                    file,
                    line,
                    "the file must be in " + format.charset(),
                    "has bytes there or soon after that are not; another is given by --charset");
        }
        String reason = failed == null ? "nothing is known" : String.valueOf(failed.getMessage());
        return Files.isReadable(file)
                ? BillException.of(file, line, "must be CSV", BillException.shown("failed with: " + reason))
                : BillException.of(file, "must be a readable file", "failed with: " + failed);
    }

    /** The line on which a record begins; it ends on the one that the parser is at. */
    private long lineOf(CSVRecord record) {
        long breaks = 0;
        for (String cell : record) {
            breaks += LINE_BREAK.matcher(cell).results().count();
        }
        return parser.getCurrentLineNumber() - breaks;
    }

    private void checkWidth(CSVRecord record, long number) {
        boolean more = false;
        for (int i = width; i < record.size(); i++) {
            more |= !record.get(i).isBlank();
        }
        if (record.size() < width || more) {
            throw BillException.of(
                    file, number, "must have %d cells, as the first line has".formatted(width), "has " + record.size());
        }
    }

    private boolean isAsked(CSVRecord record) {
        for (Map.Entry<Cell, Set<String>> only : where.entrySet()) {
            String value = raw(record, only.getKey());
            if (!only.getValue().contains(value)) {
                return false;
            }
        }
        return true;
    }

    /** The line of a record, or null if its kind is to be passed over. */
    private @Nullable BillLine line(CSVRecord record, long number) {
        long[] figures = Figures.absent();
        int open = 0;
        if (byKind) {
            String kind = text(record, BillField.KIND);
            Set<BillField> meant = kind == null ? null : format.figuresOf(kind);
            if (meant == null) {
                String name = kind == null ? "none" : BillException.shown(kind);
                if (unknownKinds.size() < MAX_KINDS || unknownKinds.containsKey(name)) {
                    unknownKinds.merge(name, 1L, Long::sum);
                }
                return null;
            }
            if (meant.isEmpty()) {
                return null;
            }
            Cell cell = only(BillField.QUANTITY);
            BigDecimal quantity = decimal(record, cell, number);
            if (quantity != null) {
                long tokens = whole(quantity, unit(record, number), record, cell, number);
                meant.forEach(figure -> Figures.add(figures, figure, tokens));
            }
        }
        for (BillField figure : stated) {
            for (Cell cell : cells.getOrDefault(figure, List.of())) {
                BigDecimal value = decimal(record, cell, number);
                if (value == null) {
                    open |= 1 << figure.index();
                } else {
                    long unit = figure == BillField.REQUESTS ? 1 : unit(record, number);
                    Figures.add(figures, figure, whole(value, unit, record, cell, number));
                }
            }
        }
        return new BillLine(
                number,
                text(record, BillField.ID),
                format.bookedModel(text(record, BillField.MODEL)),
                time(record, number),
                figures,
                open);
    }

    private Cell only(BillField field) {
        List<Cell> found = cells.getOrDefault(field, List.of());
        if (found.isEmpty()) {
            throw new IllegalStateException(field + " has no column");
        }
        return found.get(0);
    }

    private @Nullable String text(CSVRecord record, BillField field) {
        List<Cell> found = cells.getOrDefault(field, List.of());
        return found.isEmpty() ? null : value(record, found.get(0));
    }

    /** What a cell says, or null if it says nothing. */
    private static @Nullable String value(CSVRecord record, Cell cell) {
        String value = raw(record, cell);
        return ABSENT.contains(value.toLowerCase(Locale.ROOT)) ? null : value;
    }

    private static String raw(CSVRecord record, Cell cell) {
        String value = record.get(cell.index()).strip();
        if (cell.part() == 0) {
            return value;
        }
        String[] parts = value.split(";", -1);
        return cell.part() <= parts.length ? parts[cell.part() - 1].strip() : "";
    }

    private @Nullable BigDecimal decimal(CSVRecord record, Cell cell, long number) {
        String value = value(record, cell);
        if (value == null) {
            return null;
        }
        if (!NUMBER.matcher(value).matches()) {
            throw BillException.of(file, number, cell.name(), "must be a number of digits, not negative", value);
        }
        return new BigDecimal(value);
    }

    private long whole(BigDecimal value, long unit, CSVRecord record, Cell cell, long number) {
        try {
            return value.multiply(BigDecimal.valueOf(unit)).longValueExact();
        } catch (ArithmeticException notWhole) {
            throw BillException.of(
                    file,
                    number,
                    cell.name(),
                    unit == 1
                            ? "must be a whole number that fits a long"
                            : "must be a whole number that fits a long, times %d".formatted(unit),
                    value(record, cell));
        }
    }

    private long unit(CSVRecord record, long number) {
        String unit = text(record, BillField.UNIT);
        if (unit == null) {
            return format.unit();
        }
        Long known = tokensIn(unit);
        if (known == null) {
            throw BillException.of(
                    file,
                    number,
                    only(BillField.UNIT).name(),
                    "must be tokens, thousands or millions of them, or a number",
                    unit);
        }
        return known;
    }

    /** How many tokens a unit is, or null if it is none of tokens. */
    static @Nullable Long tokensIn(String unit) {
        return switch (unit.toLowerCase(Locale.ROOT).replace(" ", "").replaceFirst("s$", "")) {
            case "1", "token", "个token", "个" -> 1L;
            case "1000", "k", "1k", "ktoken", "1ktoken", "千", "千token", "千个token", "thousandtoken" -> 1_000L;
            case "10000", "万", "万token" -> 10_000L;
            case "1000000", "m", "1m", "mtoken", "1mtoken", "百万", "百万token", "milliontoken" -> 1_000_000L;
            default -> null;
        };
    }

    private @Nullable Instant time(CSVRecord record, long number) {
        String text = text(record, BillField.TIME);
        if (text == null) {
            return null;
        }
        try {
            return timeOf(text, format.zone());
        } catch (DateTimeException | ArithmeticException wrong) {
            throw BillException.of(
                    file,
                    number,
                    only(BillField.TIME).name(),
                    "must be a time such as 2026-01-31, 2026-01-31 12:00:00 or 2026-01-31T12:00:00Z, or seconds since 1970",
                    text);
        }
    }

    /**
     * The time that a text means, in a zone if it names none.
     *
     * @throws DateTimeException if it means none
     */
    static Instant timeOf(String text, ZoneId zone) {
        if (DIGITS.matcher(text).matches()) {
            return switch (text.length()) {
                case 8 ->
                    LocalDate.parse(text, DateTimeFormatter.BASIC_ISO_DATE)
                            .atStartOfDay(zone)
                            .toInstant();
                case 9, 10 -> Instant.ofEpochSecond(Long.parseLong(text));
                case 12, 13 -> Instant.ofEpochMilli(Long.parseLong(text));
                default -> throw new DateTimeException(text);
            };
        }
        TemporalAccessor parsed = TIME.parseBest(
                text.replace('/', '-').replace('T', ' '), OffsetDateTime::from, LocalDateTime::from, LocalDate::from);
        if (parsed instanceof OffsetDateTime time) {
            return time.toInstant();
        }
        return parsed instanceof LocalDateTime time
                ? time.atZone(zone).toInstant()
                : ((LocalDate) parsed).atStartOfDay(zone).toInstant();
    }

    @Override
    public void close() {
        closeQuietly(parser);
    }

    private static void closeQuietly(@Nullable Closeable open) {
        try {
            if (open != null) {
                open.close();
            }
        } catch (IOException ignored) {
            // It was read, and only read.
        }
    }

    /** Characters without the mark that some programs put before all others, and not too many for one line. */
    private static final class BoundedReader extends Reader {

        private static final char BYTE_ORDER_MARK = '\uFEFF';

        private final Reader in;
        private boolean started;
        private long inLine;

        BoundedReader(Reader in) {
            this.in = in;
        }

        static final class TooLongException extends IOException {

            private static final long serialVersionUID = 1L;
        }

        void begin() {
            inLine = 0;
        }

        @Override
        public int read(char[] buffer, int offset, int length) throws IOException {
            int count = in.read(buffer, offset, length);
            if (!started && count > 0) {
                started = true;
                if (buffer[offset] == BYTE_ORDER_MARK) {
                    System.arraycopy(buffer, offset + 1, buffer, offset, --count);
                    if (count == 0) {
                        return read(buffer, offset, length);
                    }
                }
            }
            inLine += Math.max(count, 0);
            if (inLine > MAX_LINE) {
                throw new TooLongException();
            }
            return count;
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }
}
