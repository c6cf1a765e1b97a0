package io.fluxtally.ledger.reconcile;

import io.fluxtally.ledger.LedgerProblem;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Holds a ledger of files against itself:
 *
 * <ul>
 *   <li>every line is a record, which includes that parts do not exceed their totals, that a figure is there exactly if the
 *       source says so, and that ordinals are positive;
 *   <li>no key is there twice;
 *   <li>a total is at least input and output together, labels are as short as labels are, times are possible;
 *   <li>every run's total equals the sum of its requests field by field. A ledger holds requests and no totals, a run is the
 *       fold over its requests: so the fold that apps read ({@link UsageSum}) is held against figures added up one by one, for
 *       each run, and the runs together against the ledger.
 * </ul>
 *
 * <p>It takes memory for some ten thousand keys and runs and for what is listed, whatever the length of the ledger. Immutable;
 * each run is on its own. Safe for use by any number of threads.
 */
public final class LedgerVerification {

    /** How many findings are listed unless set. */
    public static final int LIMIT = 20;

    private static final Pattern ID = Pattern.compile("[A-Za-z0-9_.:/-]{1,80}");

    private final Path ledger;
    private final Path spill;
    private final int limit;
    private final Clock clock;
    private final ProgressListener progress;
    private final int maxKeys;

    private LedgerVerification(
            Path ledger, Path spill, int limit, Clock clock, ProgressListener progress, int maxKeys) {
        this.ledger = ledger;
        this.spill = spill;
        this.limit = limit;
        this.clock = clock;
        this.progress = progress;
        this.maxKeys = maxKeys;
    }

    /** Of a ledger's directory, or of one file. Files in between go to the system's directory for such. */
    public static LedgerVerification of(Path directoryOrFile) {
        return new LedgerVerification(
                directoryOrFile,
                Path.of(System.getProperty("java.io.tmpdir")),
                LIMIT,
                Clock.systemUTC(),
                ProgressListener.NONE,
                SpilledGroups.MAX_KEYS);
    }

    /** The same with files in between in a directory, which must be there. */
    public LedgerVerification withSpillDirectory(Path directory) {
        return new LedgerVerification(ledger, directory, limit, clock, progress, maxKeys);
    }

    /** The same that lists so many findings; it holds these in memory. */
    public LedgerVerification withLimit(int value) {
        if (value < 0) {
            throw new IllegalArgumentException("limit must not be negative, but is " + value);
        }
        return new LedgerVerification(ledger, spill, value, clock, progress, maxKeys);
    }

    /** The same with a clock by which nothing may lie in the future. */
    public LedgerVerification withClock(Clock value) {
        return new LedgerVerification(ledger, spill, limit, value, progress, maxKeys);
    }

    /** The same that tells a listener how far it is. */
    public LedgerVerification withProgress(ProgressListener listener) {
        return new LedgerVerification(ledger, spill, limit, clock, listener, maxKeys);
    }

    /** The same with so many keys in memory at a time. */
    LedgerVerification withMaxKeys(int value) {
        return new LedgerVerification(ledger, spill, limit, clock, progress, value);
    }

    /**
     * Verifies the ledger.
     *
     * @throws io.fluxtally.ledger.LedgerException if it or a file in between cannot be read or written
     */
    public VerificationReport run() {
        try (SpillDirectory directory = new SpillDirectory(spill)) {
            return new Run(directory).run();
        }
    }

    /** An id for a finding: one that does not look like one may be anything. */
    private static String shown(String id) {
        return ID.matcher(id).matches() ? id : "an id of %d characters".formatted(id.length());
    }

    /** Where a key is, and a digest of what is under it. */
    private record Place(int file, long line, int digest) {

        static final SpilledGroups.Codec<Place> CODEC = new SpilledGroups.Codec<>() {
            @Override
            public void write(Place place, DataOutput out) throws IOException {
                out.writeInt(place.file);
                out.writeLong(place.line);
                out.writeInt(place.digest);
            }

            @Override
            public Place read(DataInput in) throws IOException {
                return new Place(in.readInt(), in.readLong(), in.readInt());
            }
        };
    }

    /** Where a key is for the first time, and where it is again: so many places as are listed, and how many more. */
    private static final class Places {

        private final int limit;
        private final List<Place> again = new ArrayList<>(0);
        private @Nullable Place first;
        private long more;

        Places(int limit) {
            this.limit = limit;
        }

        void add(Place place) {
            if (first == null) {
                first = place;
            } else if (again.size() < limit) {
                again.add(place);
            } else {
                more++;
            }
        }
    }

    /** A request of a run: its figures alone. */
    private record Part(@Nullable TokenUsage usage, UsageSource source) {

        static final SpilledGroups.Codec<Part> CODEC = new SpilledGroups.Codec<>() {
            @Override
            public void write(Part part, DataOutput out) throws IOException {
                out.writeByte(part.source.ordinal());
                if (part.usage != null) {
                    out.writeLong(part.usage.inputTokens());
                    out.writeLong(part.usage.outputTokens());
                    out.writeLong(part.usage.totalTokens());
                    for (TokenPart field : TokenPart.values()) {
                        out.writeLong(part.usage.part(field).orElse(Figures.ABSENT));
                    }
                }
            }

            @Override
            public Part read(DataInput in) throws IOException {
                UsageSource source = UsageSource.values()[in.readByte()];
                if (source == UsageSource.MISSING) {
                    return new Part(null, source);
                }
                TokenUsage.Builder usage = TokenUsage.builder()
                        .inputTokens(in.readLong())
                        .outputTokens(in.readLong())
                        .totalTokens(in.readLong());
                for (TokenPart field : TokenPart.values()) {
                    long tokens = in.readLong();
                    if (tokens != Figures.ABSENT) {
                        usage.part(field, tokens);
                    }
                }
                return new Part(usage.build(), source);
            }
        };

        RequestUsage request() {
            return RequestUsage.builder("", Instant.EPOCH).usage(usage, source).build();
        }
    }

    /** A run added up twice: as an app does, and figure by figure. */
    private static final class TwoSums {

        private UsageSum fold = UsageSum.EMPTY;
        private final long[] exact = none();
        private boolean overflowed;

        void add(Part part) {
            fold = fold.plus(part.request());
            long[] one = figures(part);
            for (int i = 0; i < exact.length; i++) {
                if (one[i] != Figures.ABSENT) {
                    long sum = Math.max(exact[i], 0) + one[i];
                    overflowed |= sum < 0;
                    exact[i] = sum;
                }
            }
        }

        /** The figures of no request. */
        static long[] none() {
            long[] figures = Figures.absent();
            Figures.add(figures, BillField.REQUESTS, 0);
            return figures;
        }

        static long[] figures(Part part) {
            long[] figures = Figures.absent();
            Figures.add(figures, BillField.REQUESTS, 1);
            if (part.usage() != null) {
                Figures.add(figures, part.usage());
            }
            return figures;
        }

        /** The fold's figures; of none if no request has one. */
        long[] folded() {
            long[] figures = Figures.absent();
            Figures.add(figures, BillField.REQUESTS, fold.requests());
            if (!fold.isUnknown() && fold.requests() > 0) {
                Figures.add(figures, fold.total());
            }
            return figures;
        }

        /** Where the two differ, or null. */
        @Nullable
        BillField difference() {
            long[] folded = folded();
            for (BillField field : BillField.FIGURES) {
                if (overflowed || folded[field.index()] != exact[field.index()]) {
                    return field;
                }
            }
            return null;
        }
    }

    private final class Run {

        private final SpilledGroups<Place> keys;
        private final SpilledGroups<Part> byRun;
        private final List<Path> files = new ArrayList<>();
        private final PriorityQueue<Placed> first = new PriorityQueue<>(Placed.ORDER.reversed());
        private final List<LedgerProblem> torn = new ArrayList<>();
        private final Map<UsageSource, Long> sources = new EnumMap<>(UsageSource.class);
        private final TwoSums all = new TwoSums();
        private final TwoSums others = new TwoSums();
        private final long[] ofRuns = TwoSums.none();
        private final Instant now = clock.instant();
        private long requests;
        private long runs;
        private long outsideRuns;
        private long findings;

        Run(SpillDirectory directory) {
            keys = new SpilledGroups<>(directory, Place.CODEC, maxKeys);
            byRun = new SpilledGroups<>(directory, Part.CODEC, maxKeys);
        }

        VerificationReport run() {
            LedgerReader.of(ledger).reportingTo(this::onProblem).forEachPlaced(this::onRecord);
            keys.<Places>forEachGroup(() -> new Places(limit), Places::add, this::onKey);
            byRun.<TwoSums>forEachGroup(TwoSums::new, TwoSums::add, this::onRun);
            long[] sum = ofRuns.clone();
            Figures.add(sum, others.folded());
            check("the runs and the requests outside them", Figures.of(sum), "the ledger", Figures.of(all.folded()));
            onSum("the ledger", all);
            return new VerificationReport(
                    requests,
                    runs,
                    outsideRuns,
                    Map.copyOf(sources),
                    Figures.of(all.exact),
                    Figures.of(ofRuns),
                    Figures.of(others.exact),
                    findings,
                    first.stream().sorted(Placed.ORDER).map(Placed::finding).toList(),
                    List.copyOf(torn));
        }

        private int fileOf(Path file) {
            if (files.isEmpty() || !files.get(files.size() - 1).equals(file)) {
                files.add(file);
            }
            return files.size() - 1;
        }

        private void onProblem(LedgerProblem problem) {
            if (problem.kind() == LedgerProblem.Kind.TORN) {
                torn.add(problem);
            } else {
                find(fileOf(problem.file()), problem.line(), problem.rule(), problem.value());
            }
        }

        private void onRecord(RequestUsage request, Path file, long line) {
            int number = fileOf(file);
            requests++;
            sources.merge(request.source(), 1L, Long::sum);
            RecordRules.check(request, now, (rule, value) -> find(number, line, rule, value));
            keys.add(request.requestId(), new Place(number, line, request.hashCode()));
            Part part = new Part(request.usage(), request.source());
            all.add(part);
            if (request.runId() == null) {
                outsideRuns++;
                others.add(part);
            } else {
                byRun.add(request.runId(), part);
            }
            progress.progress(String.valueOf(file.getFileName()), line);
        }

        private void onKey(String key, Places places) {
            Place before = places.first;
            if (before == null) {
                return;
            }
            findings += places.more;
            for (Place again : places.again) {
                find(
                        again.file(),
                        again.line(),
                        "a request must be there once",
                        "%s was there before, %s, in line %d of %s"
                                .formatted(
                                        shown(key),
                                        again.digest() == before.digest() ? "the same" : "and not the same",
                                        before.line(),
                                        files.get(before.file()).getFileName()));
            }
        }

        private void onRun(String id, TwoSums sums) {
            runs++;
            Figures.add(ofRuns, sums.folded());
            onSum("run " + shown(id), sums);
        }

        private void onSum(String what, TwoSums sums) {
            BillField field = sums.difference();
            if (field != null) {
                find(
                        -1,
                        0,
                        "the total of %s must be the sum of its requests".formatted(what),
                        sums.overflowed ? "that is beyond the range of a long" : "is not in " + field.key());
            }
        }

        private void check(String what, Figures sum, String whole, Figures total) {
            if (!sum.equals(total)) {
                find(-1, 0, "%s must add up to %s".formatted(what, whole), "are " + sum + " of " + total);
            }
        }

        private void find(int file, long line, String rule, String value) {
            findings++;
            Path where = file < 0 ? ledger : files.get(file);
            first.add(new Placed(
                    file < 0 ? Integer.MAX_VALUE : file,
                    line,
                    new VerificationReport.Finding(where, line, rule, value)));
            if (first.size() > limit) {
                first.remove();
            }
        }
    }

    /** A finding with its place in the order of all. */
    private record Placed(int file, long line, VerificationReport.Finding finding) {

        static final Comparator<Placed> ORDER = Comparator.comparingInt(Placed::file)
                .thenComparingLong(Placed::line)
                .thenComparing(placed -> placed.finding().toString());
    }
}
