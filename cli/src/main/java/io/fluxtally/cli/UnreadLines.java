package io.fluxtally.cli;

import io.fluxtally.ledger.LedgerProblem;
import java.io.PrintWriter;
import java.util.function.Consumer;

/** Prints what is wrong with lines of a ledger, and counts those that may be requests which nobody has read. */
final class UnreadLines implements Consumer<LedgerProblem> {

    private final PrintWriter err;
    private long count;

    UnreadLines(PrintWriter err) {
        this.err = err;
    }

    @Override
    public void accept(LedgerProblem problem) {
        err.printf("fluxtally: %s%n", problem);
        switch (problem.kind()) {
            // What a crash has cut was never acknowledged, and what is there twice was read once.
            case TORN, DUPLICATE -> {}
            case JUNK, LATER_VERSION -> count++;
        }
    }

    boolean any() {
        return count > 0;
    }

    /** Says what became of them, if there are any. */
    void tell(String fate) {
        if (any()) {
            err.printf("fluxtally: %d lines of the ledger %s%n", count, fate);
        }
        err.flush();
    }
}
