package io.fluxtally.boot.actuate;

import io.fluxtally.boot.runs.RunOverview;
import io.fluxtally.usage.UsageSum;

/**
 * What the list shows.
 *
 * @param remembered the runs that are remembered
 * @param process the sum over all requests of the process
 * @param unattributed how many requests of the process belonged to no run
 */
record Overview(RunOverview remembered, UsageSum process, long unattributed) {}
