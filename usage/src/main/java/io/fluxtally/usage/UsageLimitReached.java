package io.fluxtally.usage;

/**
 * A run was about to use more than it may.
 *
 * @param runId the run's id
 * @param limit what is limited
 * @param max the most that is allowed
 * @param used what was used, and of requests also what others in flight hold
 * @param asked how much more was asked for: one request, or of tokens one at least, since nothing is known of a call's
 *     tokens before its response
 * @param usage what the run, or the part of it that is limited, had used then
 */
public record UsageLimitReached(String runId, UsageLimit limit, long max, long used, long asked, RunUsage usage) {}
