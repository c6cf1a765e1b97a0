package io.fluxtally.ledger.reconcile;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSource;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Holds booked requests against the bills of a provider.
 *
 * <p>A line of a bill that has a request id is matched by it with the requests of that response id. A line without one is
 * matched by model and bucket of time, together with all lines of the same, with all requests of the same that no line has by
 * id. Figures are compared one by one, and only those that the bill states:
 *
 * <ul>
 *   <li>a figure that the bill states as 0 and the ledger lacks is no difference, one above 0 is;
 *   <li>a figure that some lines of a match state and others leave empty is a lower bound: it differs if less was booked;
 *   <li>requests that used nothing, as rejected ones do, are in no number of requests, and are no difference if they are not
 *       on the bill.
 * </ul>
 *
 * <p>A request without the provider's final figure is a difference like any other; the report says that the ledger itself
 * graded it.
 *
 * <p>It takes memory for some ten thousand matches and for what is listed, whatever the length of the bill and of the ledger:
 * both are parted into files in between. Immutable; each run is on its own. Safe for use by any number of threads.
 */
public final class Reconciliation {

    /** How many differences of a sort are listed unless set. */
    public static final int LIMIT = 20;

    private final BillFormat format;
    private final Path spill;
    private final int limit;
    private final Predicate<? super RequestUsage> filter;
    private final @Nullable Instant from;
    private final @Nullable Instant to;
    private final ProgressListener progress;
    private final int maxKeys;

    private Reconciliation(
            BillFormat format,
            Path spill,
            int limit,
            Predicate<? super RequestUsage> filter,
            @Nullable Instant from,
            @Nullable Instant to,
            ProgressListener progress,
            int maxKeys) {
        this.format = format;
        this.spill = spill;
        this.limit = limit;
        this.filter = filter;
        this.from = from;
        this.to = to;
        this.progress = progress;
        this.maxKeys = maxKeys;
    }

    /** With bills in a format. Files in between go to the system's directory for such. */
    public static Reconciliation of(BillFormat format) {
        return new Reconciliation(
                format,
                Path.of(System.getProperty("java.io.tmpdir")),
                LIMIT,
                request -> true,
                null,
                null,
                ProgressListener.NONE,
                SpilledGroups.MAX_KEYS);
    }

    /** The same with files in between in a directory, which must be there. They take about as much room as bill and ledger. */
    public Reconciliation withSpillDirectory(Path directory) {
        return new Reconciliation(format, directory, limit, filter, from, to, progress, maxKeys);
    }

    /** The same that lists so many differences of a sort; it holds these in memory. */
    public Reconciliation withLimit(int value) {
        if (value < 0) {
            throw new IllegalArgumentException("limit must not be negative, but is " + value);
        }
        return new Reconciliation(format, spill, value, filter, from, to, progress, maxKeys);
    }

    /** The same with only those booked requests that the bill is about. */
    public Reconciliation withOnly(Predicate<? super RequestUsage> value) {
        return new Reconciliation(format, spill, limit, value, from, to, progress, maxKeys);
    }

    /**
     * The same with only what lies in a span of time, on both sides. A line without a time is taken.
     *
     * @param begin from when on, or null for all before the end
     * @param end until when, exclusive, or null for all after the beginning
     */
    public Reconciliation withTimes(@Nullable Instant begin, @Nullable Instant end) {
        if (begin != null && end != null && !begin.isBefore(end)) {
            throw new IllegalArgumentException("from (%s) must be before to (%s)".formatted(begin, end));
        }
        return new Reconciliation(format, spill, limit, filter, begin, end, progress, maxKeys);
    }

    /** The same that tells a listener how far it is. */
    public Reconciliation withProgress(ProgressListener listener) {
        return new Reconciliation(format, spill, limit, filter, from, to, listener, maxKeys);
    }

    /** The same with so many keys in memory at a time. */
    Reconciliation withMaxKeys(int value) {
        return new Reconciliation(format, spill, limit, filter, from, to, progress, value);
    }

    /**
     * Holds booked requests against bills.
     *
     * @throws BillException if a bill cannot be read, or is not in the format
     * @throws io.fluxtally.ledger.LedgerException if the ledger or a file in between cannot be read or written
     */
    public ReconciliationReport run(BookedRequests ledger, List<Path> bills) {
        try (SpillDirectory directory = new SpillDirectory(spill)) {
            return new Run(directory, bills).run(ledger);
        }
    }

    /** What was billed and booked under one key. */
    private static final class Match {

        private @Nullable Slice billed;
        private @Nullable Slice booked;

        void add(Slice slice) {
            if (slice.billed) {
                billed = plus(billed, slice);
            } else {
                booked = plus(booked, slice);
            }
        }

        private static Slice plus(@Nullable Slice sum, Slice slice) {
            if (sum == null) {
                return slice;
            }
            sum.add(slice);
            return sum;
        }
    }

    /** What is the same for all the records of a key, and how many there were. */
    private static final class Once {

        private @Nullable Slice first;
        private long more;

        void add(Slice slice) {
            if (first == null) {
                first = slice;
            } else {
                more++;
            }
        }
    }

    /** The differences of one sort. */
    private final class Sort {

        private final long[] billed = Figures.absent();
        private final long[] booked = Figures.absent();
        private final PriorityQueue<Placed> first =
                new PriorityQueue<>(Comparator.comparingLong(Placed::ordinal).reversed());
        private long count;

        void add(@Nullable Slice billedSlice, @Nullable Slice bookedSlice, Placed difference) {
            count++;
            if (billedSlice != null) {
                Figures.add(billed, billedSlice.figures);
            }
            if (bookedSlice != null) {
                Figures.add(booked, bookedSlice.figures);
            }
            first.add(difference);
            if (first.size() > limit) {
                first.remove();
            }
        }

        ReconciliationReport.Section section() {
            return new ReconciliationReport.Section(
                    count,
                    Figures.of(billed),
                    Figures.of(booked),
                    first.stream()
                            .sorted(Comparator.comparingLong(Placed::ordinal))
                            .map(Placed::difference)
                            .toList());
        }
    }

    /** A difference with its place in the order of all. */
    private record Placed(long ordinal, Difference difference) {}

    private final class Run {

        private final List<Path> bills;
        private final SpilledGroups<Slice> byRequest;
        private final SpilledGroups<Slice> byId;
        private final SpilledGroups<Slice> byBucket;
        private final long[] billed = Figures.absent();
        private final long[] booked = Figures.absent();
        private final Map<UsageSource, Long> sources = new EnumMap<>(UsageSource.class);
        private final Map<String, Long> unknownKinds = new TreeMap<>();
        private final Sort billedNotBooked = new Sort();
        private final Sort bookedNotBilled = new Sort();
        private final Sort differing = new Sort();
        private boolean models;
        private boolean times;
        private long linesById;
        private long linesByBucket;
        private long passedOver;
        private long requests;
        private long repeated;
        private long filteredOut;
        private long unused;
        private long equal;
        private long ordinal;

        Run(SpillDirectory directory, List<Path> bills) {
            this.bills = bills;
            this.byRequest = new SpilledGroups<>(directory, Slice.CODEC, maxKeys);
            this.byId = new SpilledGroups<>(directory, Slice.CODEC, maxKeys);
            this.byBucket = new SpilledGroups<>(directory, Slice.CODEC, maxKeys);
        }

        ReconciliationReport run(BookedRequests ledger) {
            for (int i = 0; i < bills.size(); i++) {
                readBill(i);
            }
            ordinal = 0;
            ledger.forEach(this::readRequest);
            byRequest.<Once>forEachGroup(Once::new, Once::add, (id, once) -> book(once));
            byId.<Match>forEachGroup(Match::new, Match::add, this::matchId);
            byBucket.<Match>forEachGroup(Match::new, Match::add, (bucket, match) -> compare(match, false));
            return new ReconciliationReport(
                    linesById,
                    linesByBucket,
                    Figures.of(billed),
                    passedOver,
                    Map.copyOf(unknownKinds),
                    Figures.of(booked),
                    requests,
                    Map.copyOf(sources),
                    repeated,
                    filteredOut,
                    unused,
                    equal,
                    billedNotBooked.section(),
                    bookedNotBilled.section(),
                    differing.section());
        }

        private void readBill(int number) {
            Path file = bills.get(number);
            String name = String.valueOf(file.getFileName());
            try (BillReader reader = new BillReader(file, format)) {
                if (number > 0 && (models != reader.hasModels() || times != reader.hasTimes())) {
                    throw BillException.of(
                            file,
                            1,
                            "several bills must have the same columns",
                            "a model or a time is in one of them only");
                }
                models = reader.hasModels();
                times = reader.hasTimes();
                for (BillLine line = reader.next(); line != null; line = reader.next()) {
                    if (line.time() != null && !isAsked(line.time())) {
                        passedOver++;
                        continue;
                    }
                    readLine(file, number, line);
                    progress.progress(name, reader.lines());
                }
                passedOver += reader.passedOver();
                reader.unknownKinds().forEach((kind, lines) -> unknownKinds.merge(kind, lines, Long::sum));
            }
        }

        private void readLine(Path file, int bill, BillLine line) {
            Slice slice = new Slice(line, bill, ordinal++);
            Figures.add(billed, slice.figures);
            if (line.id() != null) {
                linesById++;
                byId.add(line.id(), slice);
                return;
            }
            if (times && line.time() == null) {
                throw BillException.of(file, line.number(), "a line must have a request id or a time", "has neither");
            }
            linesByBucket++;
            byBucket.add(bucketOf(slice), slice);
        }

        private boolean isAsked(Instant time) {
            return (from == null || !time.isBefore(from)) && (to == null || time.isBefore(to));
        }

        private void readRequest(RequestUsage request) {
            Instant time = format.booksAtEnd() ? endOf(request) : request.start();
            if (filter.test(request) && isAsked(time)) {
                byRequest.add(request.requestId(), new Slice(request, time, ordinal++));
            } else {
                filteredOut++;
            }
            progress.progress("ledger", ordinal + filteredOut);
        }

        private static Instant endOf(RequestUsage request) {
            try {
                return request.start().plus(request.duration());
            } catch (DateTimeException | ArithmeticException beyondAllTime) {
                return request.start();
            }
        }

        private void book(Once once) {
            Slice slice = once.first;
            if (slice == null) {
                return;
            }
            repeated += once.more;
            requests++;
            Figures.add(booked, slice.figures);
            for (UsageSource source : UsageSource.values()) {
                if (slice.count(source) > 0) {
                    sources.merge(source, slice.count(source), Long::sum);
                }
            }
            if (slice.responseId != null && linesById > 0) {
                byId.add(slice.responseId, slice);
            } else {
                leave(slice);
            }
        }

        /** What no line has by its id: it may be in a line without one, if there are such. */
        private void leave(Slice slice) {
            if (linesByBucket > 0) {
                byBucket.add(bucketOf(slice), slice);
            } else if (slice.isNothing()) {
                unused += slice.count;
            } else {
                bookedNotBilled.add(null, slice, placed(null, slice, true, List.of()));
            }
        }

        private String bucketOf(Slice slice) {
            Instant bucket = bucket(slice);
            return (bucket == null ? "" : bucket) + " " + (models && slice.model != null ? slice.model : "");
        }

        private @Nullable Instant bucket(Slice slice) {
            return times && slice.time != null ? format.bucket().startOf(slice.time, format.zone()) : null;
        }

        private void matchId(String id, Match match) {
            if (match.billed == null && match.booked != null) {
                leave(match.booked);
            } else {
                compare(match, true);
            }
        }

        private void compare(Match match, boolean id) {
            Slice bill = match.billed;
            Slice book = match.booked;
            if (bill == null || book == null) {
                if (book != null && book.isNothing()) {
                    unused += book.count;
                } else if (book != null) {
                    bookedNotBilled.add(null, book, placed(null, book, id, List.of()));
                } else if (bill != null && !bill.isNothing()) {
                    billedNotBooked.add(bill, null, placed(bill, null, id, List.of()));
                }
                return;
            }
            List<BillField> fields = new ArrayList<>();
            for (BillField field : BillField.FIGURES) {
                if (differs(bill, book, field)) {
                    fields.add(field);
                }
            }
            if (fields.isEmpty()) {
                equal++;
            } else {
                differing.add(bill, book, placed(bill, book, id, fields));
            }
        }

        private Placed placed(@Nullable Slice bill, @Nullable Slice book, boolean id, List<BillField> fields) {
            Slice any = bill != null ? bill : book;
            if (any == null) {
                throw new IllegalArgumentException("a difference must have a side");
            }
            // Of what was matched by id both are said where the bill has them; a bucket is nothing but both.
            Difference difference = new Difference(
                    id ? any.responseId : null,
                    id || models ? any.model : null,
                    id ? null : bucket(any),
                    bill == null
                            ? null
                            : new Difference.Billed(
                                    bills.get(bill.bill), bill.line, bill.count, Figures.of(bill.figures)),
                    book == null ? null : booked(book),
                    fields,
                    bill == null || book == null ? Difference.Because.UNEXPLAINED : because(bill, book, fields));
            return new Placed(any.ordinal, difference);
        }
    }

    private static boolean differs(Slice billed, Slice booked, BillField field) {
        long bill = billed.figure(field);
        if (bill == Figures.ABSENT) {
            return false;
        }
        long book = Math.max(booked.figure(field), 0);
        boolean atLeast = (billed.open & 1 << field.index()) != 0;
        return atLeast ? book < bill : book != bill;
    }

    private static Difference.Booked booked(Slice slice) {
        Map<UsageSource, Long> sources = new EnumMap<>(UsageSource.class);
        for (UsageSource source : UsageSource.values()) {
            if (slice.count(source) > 0) {
                sources.put(source, slice.count(source));
            }
        }
        return new Difference.Booked(
                String.valueOf(slice.requestId), slice.count, Figures.of(slice.figures), Map.copyOf(sources));
    }

    private static Difference.Because because(Slice billed, Slice booked, List<BillField> fields) {
        long missing = booked.count(UsageSource.MISSING);
        boolean bound = missing + booked.count(UsageSource.PARTIAL) > 0
                && fields.stream().allMatch(field -> isBelow(billed, booked, field, missing));
        if (bound) {
            return Difference.Because.BOOKED_IS_A_LOWER_BOUND;
        }
        return booked.count(UsageSource.ESTIMATED) > 0
                ? Difference.Because.BOOKED_IS_AN_ESTIMATE
                : Difference.Because.UNEXPLAINED;
    }

    /** Whether less was booked than billed; of requests, whether the missing ones are those that were not billed. */
    private static boolean isBelow(Slice billed, Slice booked, BillField field, long missing) {
        long more = booked.figure(field) - billed.figure(field);
        return field == BillField.REQUESTS ? more > 0 && more <= missing : more < 0;
    }
}
