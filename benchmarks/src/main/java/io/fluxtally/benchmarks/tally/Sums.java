package io.fluxtally.benchmarks.tally;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;

/** What the requests of a run add up to. */
interface Sums {

    void add(RequestUsage request);

    /** The sums at one moment. */
    Sum sum();

    /** Tokens and requests; of one moment only if each request is in all of them or in none. */
    record Sum(long input, long output, long total, long requests) {

        Sum plus(TokenUsage usage) {
            return new Sum(
                    input + usage.inputTokens(),
                    output + usage.outputTokens(),
                    total + usage.totalTokens(),
                    requests + 1);
        }

        boolean isConsistent() {
            return total == input + output && total == requests * Request.TOKENS;
        }
    }

    /** Fluxtally's: keeps the requests, and takes each once. */
    final class Tally implements Sums {

        private final RunTally tally = new RunTally();

        @Override
        public void add(RequestUsage request) {
            tally.add(request);
        }

        @Override
        public Sum sum() {
            RunUsage usage = tally.usage();
            TokenUsage total = usage.total();
            return new Sum(
                    total.inputTokens(),
                    total.outputTokens(),
                    total.totalTokens(),
                    usage.sum().requests());
        }
    }

    /** The same job under a lock: the requests are kept, and each is taken once. */
    final class Locked implements Sums {

        private final ReentrantLock lock = new ReentrantLock();
        private final Set<String> ids = new HashSet<>();
        private final List<RequestUsage> requests = new ArrayList<>();
        private Sum sum = new Sum(0, 0, 0, 0);

        @Override
        public void add(RequestUsage request) {
            lock.lock();
            try {
                if (ids.add(request.requestId())) {
                    requests.add(request);
                    sum = sum.plus(tokens(request));
                }
            } finally {
                lock.unlock();
            }
        }

        @Override
        public Sum sum() {
            lock.lock();
            try {
                return sum;
            } finally {
                lock.unlock();
            }
        }
    }

    /** Sums alone, under a lock. */
    final class LockedSums implements Sums {

        private final ReentrantLock lock = new ReentrantLock();
        private long input;
        private long output;
        private long total;
        private long requests;

        @Override
        public void add(RequestUsage request) {
            TokenUsage usage = tokens(request);
            lock.lock();
            try {
                input += usage.inputTokens();
                output += usage.outputTokens();
                total += usage.totalTokens();
                requests++;
            } finally {
                lock.unlock();
            }
        }

        @Override
        public Sum sum() {
            lock.lock();
            try {
                return new Sum(input, output, total, requests);
            } finally {
                lock.unlock();
            }
        }
    }

    /** Sums alone, in a value that is replaced as a whole. */
    final class CasSums implements Sums {

        private final AtomicReference<Sum> sum = new AtomicReference<>(new Sum(0, 0, 0, 0));

        @Override
        public void add(RequestUsage request) {
            TokenUsage usage = tokens(request);
            Sum current;
            do {
                current = sum.get();
            } while (!sum.compareAndSet(current, current.plus(usage)));
        }

        @Override
        public Sum sum() {
            return sum.get();
        }
    }

    /** Sums alone, each for itself, so that those of one moment are not to be had. */
    final class Adders implements Sums {

        private final LongAdder input = new LongAdder();
        private final LongAdder output = new LongAdder();
        private final LongAdder total = new LongAdder();
        private final LongAdder requests = new LongAdder();

        @Override
        public void add(RequestUsage request) {
            TokenUsage usage = tokens(request);
            input.add(usage.inputTokens());
            output.add(usage.outputTokens());
            total.add(usage.totalTokens());
            requests.increment();
        }

        @Override
        public Sum sum() {
            return new Sum(input.sum(), output.sum(), total.sum(), requests.sum());
        }
    }

    private static TokenUsage tokens(RequestUsage request) {
        return Objects.requireNonNull(request.usage());
    }
}
