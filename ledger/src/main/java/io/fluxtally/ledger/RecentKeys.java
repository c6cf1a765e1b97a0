package io.fluxtally.ledger;

import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Set;

/** The keys of the last records, at most so many. Not safe for use by several threads. */
final class RecentKeys {

    private final int max;
    private final Set<String> keys = new LinkedHashSet<>();

    RecentKeys(int max) {
        this.max = max;
    }

    boolean contains(String key) {
        return keys.contains(key);
    }

    /** Remembers a key, in place of the one that was remembered longest. */
    boolean add(String key) {
        if (!keys.add(key)) {
            return false;
        }
        if (keys.size() > max) {
            Iterator<String> oldest = keys.iterator();
            oldest.next();
            oldest.remove();
        }
        return true;
    }
}
