package io.fluxtally.ledger.reconcile;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What was billed in some lines, or booked for some requests: their figures added up, and of the first of them what it is
 * found by. Not safe for use by several threads.
 */
final class Slice {

    static final SpilledGroups.Codec<Slice> CODEC = new SpilledGroups.Codec<>() {
        @Override
        public void write(Slice slice, DataOutput out) throws IOException {
            slice.write(out);
        }

        @Override
        public Slice read(DataInput in) throws IOException {
            return new Slice(in);
        }
    };

    private static final UsageSource[] SOURCES = UsageSource.values();

    /** Whether it was billed; else it was booked. */
    final boolean billed;

    /** The place of the first among all that was billed, or booked. */
    final long ordinal;

    /** The line of the first in its bill, or 0. */
    final long line;

    /** Which bill the first is in. */
    final int bill;

    /** The key of the first request, or null for a bill. */
    final @Nullable String requestId;

    final @Nullable String responseId;
    final @Nullable String model;
    final @Nullable Instant time;

    /** How many lines, or requests. */
    long count = 1;

    final long[] figures;

    /** A bit for each figure that some lines state and others leave empty, or all leave empty. */
    int open;

    /** How many requests have which source, by its ordinal. */
    final long[] sources = new long[SOURCES.length];

    /** A line of a bill. */
    Slice(BillLine line, int bill, long ordinal) {
        this.billed = true;
        this.ordinal = ordinal;
        this.line = line.number();
        this.bill = bill;
        this.requestId = null;
        this.responseId = line.id();
        this.model = line.model();
        this.time = line.time();
        this.figures = line.figures();
        this.open = line.open();
    }

    /** A booked request, at the time at which it is to be found. */
    Slice(RequestUsage request, Instant time, long ordinal) {
        this.billed = false;
        this.ordinal = ordinal;
        this.line = 0;
        this.bill = 0;
        this.requestId = request.requestId();
        this.responseId = request.responseId();
        this.model = request.model();
        this.time = time;
        this.figures = Figures.absent();
        TokenUsage usage = request.usage();
        if (usage != null) {
            Figures.add(figures, usage);
        }
        // A bill does not count a request that used nothing, as one that was rejected did.
        boolean unused = usage != null
                && usage.inputTokens() == 0
                && usage.outputTokens() == 0
                && usage.totalTokens() == 0
                && request.source() == UsageSource.REPORTED;
        Figures.add(figures, BillField.REQUESTS, unused ? 0 : 1);
        sources[request.source().ordinal()] = 1;
    }

    private Slice(DataInput in) throws IOException {
        billed = in.readBoolean();
        ordinal = in.readLong();
        line = in.readLong();
        bill = in.readInt();
        requestId = readText(in);
        responseId = readText(in);
        model = readText(in);
        time = in.readBoolean() ? Instant.ofEpochSecond(in.readLong(), in.readInt()) : null;
        count = in.readLong();
        open = in.readInt();
        figures = Figures.absent();
        int stated = in.readInt();
        for (int i = 0; i < figures.length; i++) {
            if ((stated & 1 << i) != 0) {
                figures[i] = in.readLong();
            }
        }
        if (!billed) {
            for (int i = 0; i < sources.length; i++) {
                sources[i] = in.readLong();
            }
        }
    }

    private void write(DataOutput out) throws IOException {
        out.writeBoolean(billed);
        out.writeLong(ordinal);
        out.writeLong(line);
        out.writeInt(bill);
        writeText(requestId, out);
        writeText(responseId, out);
        writeText(model, out);
        out.writeBoolean(time != null);
        if (time != null) {
            out.writeLong(time.getEpochSecond());
            out.writeInt(time.getNano());
        }
        out.writeLong(count);
        out.writeInt(open);
        int stated = 0;
        for (int i = 0; i < figures.length; i++) {
            stated |= figures[i] == Figures.ABSENT ? 0 : 1 << i;
        }
        out.writeInt(stated);
        for (long figure : figures) {
            if (figure != Figures.ABSENT) {
                out.writeLong(figure);
            }
        }
        if (!billed) {
            for (long source : sources) {
                out.writeLong(source);
            }
        }
    }

    private static void writeText(@Nullable String text, DataOutput out) throws IOException {
        out.writeBoolean(text != null);
        if (text != null) {
            SpilledGroups.writeText(text, out);
        }
    }

    private static @Nullable String readText(DataInput in) throws IOException {
        return in.readBoolean() ? SpilledGroups.readText(in) : null;
    }

    /** Adds another of the same side to this one. */
    void add(Slice other) {
        Figures.add(figures, other.figures);
        count += other.count;
        open |= other.open;
        for (int i = 0; i < sources.length; i++) {
            sources[i] += other.sources[i];
        }
    }

    long figure(BillField field) {
        return figures[field.index()];
    }

    long count(UsageSource source) {
        return sources[source.ordinal()];
    }

    /** Whether nothing was billed or used: a booking of nothing, or a line that has no id and states no figure but 0. */
    boolean isNothing() {
        if (!billed) {
            return figure(BillField.REQUESTS) == 0;
        }
        for (long figure : figures) {
            if (figure > 0) {
                return false;
            }
        }
        return responseId == null;
    }
}
