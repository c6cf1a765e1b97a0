package io.fluxtally.usage.wire;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** A tap whose bookings a test can read, and bodies fed to it as a client would. */
public final class TapUnderTest {

    public static final String DASHSCOPE_PATH = "/api/v1/services/aigc/text-generation/generation";
    public static final String OPENAI_PATH = "/v1/chat/completions";
    public static final String EVENTS = "text/event-stream;charset=UTF-8";
    public static final String JSON = "application/json";

    /** How a response ends, as the client sees it. */
    public enum Ending {
        COMPLETE,
        RESET,
        CANCEL
    }

    private volatile Runnable onBooked = () -> {};
    private final List<RequestUsage> booked = new CopyOnWriteArrayList<>();
    private final UsageRecorder recorder = UsageRecorder.withSinks(booked::add, request -> this.onBooked.run());
    private final WireTap tap;

    private TapUnderTest(UnaryOperator<WireTap.Builder> settings) {
        this.tap = settings.apply(WireTap.builder().recorder(recorder)).build();
    }

    public static TapUnderTest create() {
        return with(settings -> settings);
    }

    public static TapUnderTest with(UnaryOperator<WireTap.Builder> settings) {
        return new TapUnderTest(settings);
    }

    public WireTap tap() {
        return tap;
    }

    public UsageRecorder recorder() {
        return recorder;
    }

    /** Sets what to do at each booking. */
    public void onBooked(Runnable action) {
        onBooked = action;
    }

    /** What was booked since the last time it was asked for. */
    public List<RequestUsage> drain() {
        List<RequestUsage> all = List.copyOf(booked);
        booked.clear();
        return all;
    }

    /** The one request that was booked since the last time. */
    public RequestUsage only() {
        List<RequestUsage> all = drain();
        assertThat(all).hasSize(1);
        return all.get(0);
    }

    /** Checks that the one request that was booked here since the last time is the same as there, and as many events unread. */
    public void assertBookedAs(TapUnderTest other) {
        RequestUsage here = only();
        RequestUsage there = other.only();
        assertThat(here.usage()).isEqualTo(there.usage());
        assertThat(here.source()).isEqualTo(there.source());
        assertThat(here.outcome()).isEqualTo(there.outcome());
        assertThat(here.responseId()).isEqualTo(there.responseId());
        assertThat(here.reported()).isEqualTo(there.reported());
        assertThat(tap.unreadEvents()).isEqualTo(other.tap.unreadEvents());
    }

    public static RequestHead post(String path, String... headers) {
        Set<String> names = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
        names.addAll(List.of(headers));
        return new RequestHead("POST", path, names::contains);
    }

    public RequestUsage dashScopeStream(String body, Ending ending) {
        feed(post(DASHSCOPE_PATH, "X-DashScope-SSE"), 200, EVENTS, body, ending);
        return only();
    }

    public RequestUsage dashScopeCall(String body) {
        feed(post(DASHSCOPE_PATH), 200, JSON, body, Ending.COMPLETE);
        return only();
    }

    public RequestUsage openAiStream(String body, Ending ending) {
        feed(post(OPENAI_PATH), 200, EVENTS, body, ending);
        return only();
    }

    public RequestUsage openAiCall(String body) {
        feed(post(OPENAI_PATH), 200, JSON, body, Ending.COMPLETE);
        return only();
    }

    /** Feeds a whole response in one piece. */
    public void feed(RequestHead head, int status, @Nullable String contentType, String body, Ending ending) {
        feed(head, null, status, contentType, List.of(body.getBytes(UTF_8)), ending);
    }

    /** Feeds a response piece by piece. */
    public void feed(
            RequestHead head,
            @Nullable UsageScope scope,
            int status,
            @Nullable String contentType,
            Iterable<byte[]> pieces,
            Ending ending) {
        WireRequest request = tap.open(head, scope);
        if (request == null) {
            return;
        }
        request.responded(status, contentType, null);
        for (byte[] piece : pieces) {
            request.body(ByteBuffer.wrap(piece));
        }
        end(request, ending);
    }

    public static void end(WireRequest request, Ending ending) {
        switch (ending) {
            case COMPLETE -> request.completed();
            case RESET -> request.failed();
            case CANCEL -> request.cancelled();
        }
    }
}
