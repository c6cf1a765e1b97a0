package io.fluxtally.ledger;

import io.fluxtally.ledger.LedgerFiles.DatedFile;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Reads a ledger of files, the directory of a {@link JsonlLedgerStore} or one file of it, while it is written or afterwards.
 *
 * <p>Records come one by one, in the order in which they were written, in memory that does not grow with the ledger. A line
 * that is no record is reported and passed over. A record whose key is among the last {@link #REMEMBERED_KEYS} is reported as
 * a duplicate and passed over too. One that comes again further apart, which only an app that books it twice can bring about,
 * comes twice.
 *
 * <p>Immutable; each reading is on its own. Safe for use by any number of threads, if what it reports problems to is.
 */
public final class LedgerReader {

    /** How many keys are remembered to find duplicates: twice as many as a store does by default. */
    public static final int REMEMBERED_KEYS = 1 << 16;

    private final Path path;
    private final Consumer<? super LedgerProblem> problems;

    private LedgerReader(Path path, Consumer<? super LedgerProblem> problems) {
        this.path = path;
        this.problems = problems;
    }

    /** A reader of a directory, or of one file. Problems are passed over. */
    public static LedgerReader of(Path directoryOrFile) {
        return new LedgerReader(directoryOrFile, problem -> {});
    }

    /** The same that reports what is wrong with lines, in the order in which they come. */
    public LedgerReader reportingTo(Consumer<? super LedgerProblem> listener) {
        return new LedgerReader(path, listener);
    }

    /**
     * Hands over all records.
     *
     * @throws LedgerException if a file cannot be read
     */
    public void forEach(Consumer<? super RequestUsage> action) {
        scan((record, file, lines) -> action.accept(record));
    }

    /** Takes records with the place that they stand in. */
    @FunctionalInterface
    public interface PlacedRecords {

        /**
         * The next record.
         *
         * @param file the file it is in
         * @param line its line there, from 1
         */
        void accept(RequestUsage record, Path file, long line);
    }

    /**
     * Hands over all records with their places.
     *
     * @throws LedgerException if a file cannot be read
     */
    public void forEachPlaced(PlacedRecords action) {
        scan((record, file, lines) -> action.accept(record, file, lines.number()));
    }

    /** The records that are asked for, together. */
    public UsageSum total(Predicate<? super RequestUsage> query) {
        UsageSum[] sum = {UsageSum.EMPTY};
        forEach(record -> {
            if (query.test(record)) {
                sum[0] = sum[0].plus(record);
            }
        });
        return sum[0];
    }

    /** The records that are asked for, added up by a view; in the order of its keys. */
    public Map<String, UsageSum> totalBy(LedgerView view, Predicate<? super RequestUsage> query) {
        Map<String, UsageSum> sums = new TreeMap<>();
        forEach(record -> {
            if (query.test(record)) {
                sums.merge(view.keyOf(record), UsageSum.EMPTY.plus(record), (sum, one) -> sum.plus(record));
            }
        });
        return sums;
    }

    /** An index by the provider's id of the response. */
    public LedgerIndex indexByResponseId() {
        return index(RequestUsage::responseId);
    }

    /**
     * An index by any key, made in one pass; it takes 16 to 48 bytes a record. It holds what is there now.
     *
     * @param key the key of a record, or null for one that is not to be found
     */
    public LedgerIndex index(Function<? super RequestUsage, @Nullable String> key) {
        List<Path> files = new ArrayList<>();
        LedgerIndex.Table table = new LedgerIndex.Table();
        scan((record, file, lines) -> {
            if (files.isEmpty() || !files.get(files.size() - 1).equals(file)) {
                files.add(file);
            }
            String value = key.apply(record);
            if (value != null) {
                table.add(value, files.size() - 1, lines.start());
            }
        });
        return new LedgerIndex(files, table, key);
    }

    /** Follows the ledger from its beginning. */
    public LedgerTail tail() {
        return new LedgerTail(path, problems);
    }

    private interface Action {

        void on(RequestUsage record, Path file, LineScanner lines);
    }

    private void scan(Action action) {
        RecentKeys keys = new RecentKeys(REMEMBERED_KEYS);
        for (Path file : files(path)) {
            try (InputStream in = Files.newInputStream(file)) {
                LineScanner lines = new LineScanner(in, 0, 0);
                while (lines.advance()) {
                    RequestUsage record = record(file, lines, keys, problems);
                    if (record != null) {
                        action.on(record, file, lines);
                    }
                }
            } catch (IOException failed) {
                throw new LedgerException("could not read %s: %s".formatted(file, failed), failed);
            }
        }
    }

    /** The files to read, in their order. */
    static List<Path> files(Path path) {
        if (Files.isRegularFile(path)) {
            return List.of(path);
        }
        if (!Files.exists(path)) {
            throw new LedgerException("a ledger must be a directory or a file, but %s is not there".formatted(path));
        }
        try {
            return LedgerFiles.in(path).stream().map(DatedFile::path).toList();
        } catch (IOException failed) {
            throw new LedgerException("could not read the ledger %s: %s".formatted(path, failed), failed);
        }
    }

    /** The record of a line, or null after reporting why it is none to be counted. An empty line is nothing. */
    static @Nullable RequestUsage record(
            Path file, LineScanner lines, RecentKeys keys, Consumer<? super LedgerProblem> problems) {
        if (lines.tooLong()) {
            problems.accept(new LedgerProblem(
                    file,
                    lines.number(),
                    LedgerProblem.Kind.JUNK,
                    "a record must have at most %d bytes".formatted(LineScanner.MAX_LINE),
                    "has " + (lines.next() - lines.start())));
            return null;
        }
        if (lines.length() == 0) {
            return null;
        }
        RequestUsage record;
        try {
            record = LedgerRecord.read(lines.line(), 0, lines.length());
        } catch (LedgerRecord.NotARecordException wrong) {
            problems.accept(
                    lines.whole()
                            ? new LedgerProblem(file, lines.number(), wrong.kind, wrong.rule, wrong.value)
                            : new LedgerProblem(
                                    file,
                                    lines.number(),
                                    LedgerProblem.Kind.TORN,
                                    "the last line must end with a line feed",
                                    "%d bytes of it are all there is".formatted(lines.length())));
            return null;
        }
        if (!keys.add(record.requestId())) {
            problems.accept(new LedgerProblem(
                    file,
                    lines.number(),
                    LedgerProblem.Kind.DUPLICATE,
                    "a request must be there once",
                    LedgerRecord.shown(record.requestId()) + " was there before"));
            return null;
        }
        return record;
    }
}
