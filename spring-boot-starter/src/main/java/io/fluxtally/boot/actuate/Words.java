package io.fluxtally.boot.actuate;

import io.fluxtally.boot.runs.RunRecord;
import io.fluxtally.boot.runs.RunState;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;

/** How the pages say things, in plain words. */
final class Words {

    /** Stands where a figure is not known. */
    static final String UNKNOWN = "not known";

    /** Stands where nothing was reported. */
    static final String NONE = "–";

    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern(
                    "yyyy-MM-dd HH:mm:ss.SSS 'UTC'", Locale.ROOT)
            .withZone(ZoneOffset.UTC);

    private Words() {}

    static String number(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }

    /** {@code 1 request}, {@code 2 requests}. */
    static String count(long count, String what) {
        return number(count) + " " + what + (count == 1 ? "" : "s");
    }

    static String time(Instant instant) {
        return TIME.format(instant);
    }

    static String duration(Duration duration) {
        long millis = duration.toMillis();
        if (millis < 1000) {
            return millis + " ms";
        }
        if (millis < 60_000) {
            return String.format(Locale.ROOT, "%.2f s", millis / 1000.0);
        }
        long seconds = duration.toSeconds();
        return seconds < 3600
                ? "%d min %d s".formatted(seconds / 60, seconds % 60)
                : "%d h %d min".formatted(seconds / 3600, seconds / 60 % 60);
    }

    /** A figure of a sum, with a sign before it if it is not exact: a lower bound, or less than that if there are estimates. */
    static String figure(UsageSum sum, Doubts doubts, long tokens) {
        boolean exact = sum.isComplete() && doubts.inFlight() == 0;
        return sum.isUnknown() ? UNKNOWN : (exact ? "" : sign(doubts)) + number(tokens);
    }

    /** A part of a sum, which is no more than a lower bound where not every request reported it; {@code –} where none did. */
    static String part(UsageSum sum, Doubts doubts, TokenPart part) {
        long reporters = sum.reportedBy(part);
        if (reporters == 0) {
            return NONE;
        }
        boolean exact = reporters == sum.requests() && doubts.inFlight() == 0;
        return (exact ? "" : sign(doubts)) + number(sum.total().part(part).orElse(0));
    }

    private static String sign(Doubts doubts) {
        return doubts.estimated() > 0 ? "≈ " : "≥ ";
    }

    /** A part of a request; {@code –} if it was not reported. */
    static String part(RequestUsage request, TokenPart part) {
        TokenUsage usage = request.usage();
        OptionalLong tokens = usage == null ? OptionalLong.empty() : usage.part(part);
        return tokens.isPresent() ? figure(request, tokens.getAsLong()) : NONE;
    }

    /** A figure of a request. */
    static String figure(RequestUsage request, long tokens) {
        return switch (request.source()) {
            case REPORTED -> number(tokens);
            case PARTIAL -> "≥ " + number(tokens);
            case ESTIMATED -> "≈ " + number(tokens);
            case MISSING -> UNKNOWN;
        };
    }

    static String of(TokenPart part) {
        String key = part.key();
        return switch (part) {
            case CACHE_READ_INPUT -> "Cached input";
            case CACHE_CREATION_INPUT -> "Input written to cache";
            case REASONING_OUTPUT -> "Reasoning";
            default ->
                capital(key.substring(0, key.length() - "_tokens".length()).replace('_', ' '));
        };
    }

    private static String capital(String text) {
        return text.substring(0, 1).toUpperCase(Locale.ROOT) + text.substring(1);
    }

    static String of(UsageSource source) {
        return switch (source) {
            case REPORTED -> "reported";
            case PARTIAL -> "cut off";
            case ESTIMATED -> "estimated";
            case MISSING -> "no figure";
        };
    }

    static String of(RequestOutcome outcome) {
        return outcome.name().toLowerCase(Locale.ROOT);
    }

    static String of(RunState state) {
        return state.name().toLowerCase(Locale.ROOT);
    }

    /** What there is to know of a run beside its figures: why they are not exact, and what the page does not show. */
    static List<String> notes(RunRecord run) {
        List<String> notes = new ArrayList<>(doubts(Doubts.of(run)));
        if (!run.wholeSeen()) {
            notes.add(
                    "The run was opened outside the app's own code, or forgotten before these requests came, so whether "
                            + "anything of it is missing or still under way is not known.");
        }
        if (run.state() == RunState.EVICTED) {
            notes.add("The run was never closed, and was given up after a time without requests or for want of room.");
        }
        if (run.omitted() > 0) {
            notes.add(count(run.omitted(), "more request")
                    + (run.omitted() == 1 ? " is" : " are")
                    + " in the totals and not shown one by one (fluxtally.runs.max-requests).");
        }
        return notes;
    }

    static List<String> doubts(Doubts doubts) {
        List<String> reasons = new ArrayList<>();
        if (doubts.inFlight() > 0) {
            reasons.add(
                    doubts.inFlight() == 1
                            ? "1 call or request is still under way, and its tokens are not counted yet."
                            : number(doubts.inFlight())
                                    + " calls and requests are still under way, and their tokens are not counted yet.");
        }
        if (doubts.missing() > 0) {
            reasons.add(
                    doubts.missing() == 1
                            ? "1 request brought no figure. It is billed all the same, as far as is known."
                            : number(doubts.missing())
                                    + " requests brought no figure. They are billed all the same, as far as is known.");
        }
        if (doubts.partial() > 0) {
            reasons.add(
                    doubts.partial() == 1
                            ? "1 response was cut off. Its last running figure is counted, and it is billed at least that."
                            : number(doubts.partial())
                                    + " responses were cut off. Their last running figures are counted, and they are "
                                    + "billed at least those.");
        }
        if (doubts.estimated() > 0) {
            reasons.add(
                    doubts.estimated() == 1
                            ? "1 request has an estimate in place of the provider's figure."
                            : number(doubts.estimated())
                                    + " requests have estimates in place of the provider's figures.");
        }
        return reasons;
    }
}
