package io.fluxtally.boot.actuate;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Where the pages are, as seen from one another. Relative, so that they hold under any base path and behind any proxy.
 *
 * @param path the endpoint's path below that of the actuator
 */
record Links(String path) {

    private String lastSegment() {
        return path.substring(path.lastIndexOf('/') + 1);
    }

    /** From the list to a run, or null if servers would refuse a path with that id in it. */
    @Nullable
    String toRun(String runId) {
        if (runId.isEmpty() || runId.matches("\\.{1,2}|.*[/\\\\;%\\p{Cntrl}].*")) {
            return null;
        }
        return lastSegment() + "/" + encoded(runId);
    }

    /** From a run to the list. */
    String toRuns() {
        return "../" + lastSegment();
    }

    private static String encoded(String segment) {
        return URLEncoder.encode(segment, StandardCharsets.UTF_8).replace("+", "%20");
    }
}
