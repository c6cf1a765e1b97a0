package io.fluxtally.ledger.reconcile;

import java.util.List;

/**
 * Where a cell is found.
 *
 * @param names the names that the column may have, the first that is there counts
 * @param part which of the parts between semicolons the value is, from 1, or 0 for all of the cell
 * @param required whether a bill without the column is refused
 */
record ColumnSource(List<String> names, int part, boolean required) {

    /** A column that a preset knows by some names. */
    static ColumnSource known(String... names) {
        return new ColumnSource(List.of(names), 0, false);
    }

    /** A column that must be there. */
    static ColumnSource named(String name) {
        return new ColumnSource(List.of(name), 0, true);
    }

    /** A part of the cell between semicolons. */
    ColumnSource part(int number) {
        return new ColumnSource(names, number, required);
    }
}
