package io.fluxtally.boot.actuate;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.RunRecord;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.actuate.endpoint.EndpointId;
import org.springframework.boot.actuate.endpoint.annotation.ReadOperation;
import org.springframework.boot.actuate.endpoint.annotation.Selector;
import org.springframework.boot.actuate.endpoint.web.WebEndpointResponse;
import org.springframework.boot.actuate.endpoint.web.annotation.WebEndpoint;

/**
 * The actuator's endpoint {@code fluxtally}: the runs that there were of late, and each of them in detail. Whoever asks for
 * {@code text/html}, as a browser does, gets a page; everybody else gets JSON.
 *
 * <p>The JSON is described by {@code fluxtally.schema.json} beside this class. It is written here, so that nothing that is
 * configured for the app's own JSON changes it. It holds figures, names and labels, and no text of a conversation.
 *
 * <p>Safe for use by any number of threads.
 */
@WebEndpoint(id = FluxtallyEndpoint.ID)
public final class FluxtallyEndpoint {

    static final String ID = "fluxtally";
    static final EndpointId ENDPOINT_ID = EndpointId.of(ID);

    private final RunHistory history;
    private final UsageRecorder recorder;
    private final int maxRuns;
    private final Supplier<String> path;

    /**
     * An endpoint over the runs of the given history.
     *
     * @param path the endpoint's path below that of the actuator, for the pages' links
     */
    FluxtallyEndpoint(RunHistory history, UsageRecorder recorder, int maxRuns, Supplier<String> path) {
        this.history = history;
        this.recorder = recorder;
        this.maxRuns = maxRuns;
        this.path = path;
    }

    /** The runs that are remembered, those that began last first, and what all of them used. */
    @ReadOperation(producesFrom = EndpointFormat.class)
    public WebEndpointResponse<String> runs(EndpointFormat format) {
        Overview overview = new Overview(history.overview(maxRuns), processSum(), unattributed());
        return answer(
                format == EndpointFormat.HTML
                        ? new OverviewPage(overview, links()).html()
                        : text(EndpointJson.overview(overview)),
                WebEndpointResponse.STATUS_OK,
                format);
    }

    /** One run as a tree of its requests; status 404 if it is not remembered. */
    @ReadOperation(producesFrom = EndpointFormat.class)
    public WebEndpointResponse<String> run(@Selector String runId, EndpointFormat format) {
        RunRecord run = history.run(runId).orElse(null);
        if (run == null) {
            return answer(
                    format == EndpointFormat.HTML ? new RunPage(links()).unknown(runId) : null,
                    WebEndpointResponse.STATUS_NOT_FOUND,
                    format);
        }
        return answer(
                format == EndpointFormat.HTML ? new RunPage(links()).html(run) : text(EndpointJson.run(run)),
                WebEndpointResponse.STATUS_OK,
                format);
    }

    // The body is a text already: a tree would be written by the app's own mapper, with the app's own settings.
    private static String text(ObjectNode json) {
        return json.toString();
    }

    private static WebEndpointResponse<String> answer(@Nullable String body, int status, EndpointFormat format) {
        return new WebEndpointResponse<>(body, status, format.getProducedMimeType());
    }

    private Links links() {
        return new Links(path.get());
    }

    /** What finds no recorder of the app's is booked to the one of the process, and belongs to the process as well. */
    private UsageSum processSum() {
        UsageSum own = recorder.processSum();
        return recorder == UsageRecorder.shared()
                ? own
                : own.plus(UsageRecorder.shared().processSum());
    }

    private long unattributed() {
        long own = recorder.unattributed();
        return recorder == UsageRecorder.shared()
                ? own
                : own + UsageRecorder.shared().unattributed();
    }
}
