package io.fluxtally.ledger.reconcile;

import io.fluxtally.ledger.LedgerProblem;
import io.fluxtally.usage.UsageSource;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * What holding a ledger against itself came to.
 *
 * @param requests how many records were counted; one whose key is there again is a finding
 * @param runs how many runs they belong to
 * @param outsideRuns how many of the requests belong to none
 * @param sources how many of the requests have which source
 * @param total what all requests used, added up one by one
 * @param ofRuns the totals of the runs, added up
 * @param ofOthers what requests outside runs used
 * @param findings how many things are wrong
 * @param listed the first of them, by file and line; those about a run or all of the ledger come last
 * @param torn last lines that a crash has cut: no fault, since a record counts as written when its line is whole
 */
public record VerificationReport(
        long requests,
        long runs,
        long outsideRuns,
        Map<UsageSource, Long> sources,
        Figures total,
        Figures ofRuns,
        Figures ofOthers,
        long findings,
        List<Finding> listed,
        List<LedgerProblem> torn) {

    /** Whether nothing is wrong. */
    public boolean isSound() {
        return findings == 0;
    }

    /** How many findings there are besides those that are listed. */
    public long notListed() {
        return findings - listed.size();
    }

    /**
     * Something that is wrong.
     *
     * @param file where it is, or the ledger for what is about a run or all of it
     * @param line the line, from 1, or 0 for what is about a run or all of the ledger
     * @param rule the rule that is broken
     * @param value what is there instead: figures and ids, never a text
     */
    public record Finding(Path file, long line, String rule, String value) {

        /** The file, the line, the rule and the value, in one line. */
        @Override
        public String toString() {
            return line == 0
                    ? "%s: %s, but %s".formatted(file, rule, value)
                    : "%s, line %d: %s, but %s".formatted(file, line, rule, value);
        }
    }
}
