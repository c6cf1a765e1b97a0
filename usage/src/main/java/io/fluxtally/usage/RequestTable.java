package io.fluxtally.usage;

import org.jspecify.annotations.Nullable;

/**
 * Requests by their ids: a table with open addressing, at most half full, that nothing is removed from. Without a node for
 * each request, and with the hash codes side by side, it takes fewer bytes and less time than a set of the JDK, for as long
 * as a tally holds its lock.
 *
 * <p>To be used by one thread at a time.
 */
final class RequestTable {

    private static final int FIRST_LENGTH = 8;

    /** As long as a power of two, and with the hash code of each request at its place; not made before there is one. */
    private @Nullable RequestUsage[] requests = {};

    private int[] hashes = {};
    private int size;

    /** The hash code of a request's id, for {@link #add}; may be had by any thread. */
    static int hash(RequestUsage request) {
        int hash = request.requestId().hashCode();
        return hash ^ hash >>> 16;
    }

    /**
     * Adds a request, unless one with its id is here.
     *
     * @param request the request
     * @param hash its {@link #hash}
     * @return whether it was added
     */
    boolean add(RequestUsage request, int hash) {
        if (2 * size >= requests.length) {
            grow();
        }
        int index = hash & requests.length - 1;
        while (true) {
            RequestUsage there = requests[index];
            if (there == null) {
                put(request, hash, index);
                size++;
                return true;
            }
            if (hashes[index] == hash && there.requestId().equals(request.requestId())) {
                return false;
            }
            index = index + 1 & requests.length - 1;
        }
    }

    private void grow() {
        @Nullable RequestUsage[] oldRequests = requests;
        int[] oldHashes = hashes;
        int length = Math.max(FIRST_LENGTH, 2 * oldRequests.length);
        requests = new RequestUsage[length];
        hashes = new int[length];
        for (int i = 0; i < oldRequests.length; i++) {
            RequestUsage request = oldRequests[i];
            if (request != null) {
                int index = oldHashes[i] & length - 1;
                while (requests[index] != null) {
                    index = index + 1 & length - 1;
                }
                put(request, oldHashes[i], index);
            }
        }
    }

    private void put(RequestUsage request, int hash, int index) {
        requests[index] = request;
        hashes[index] = hash;
    }
}
