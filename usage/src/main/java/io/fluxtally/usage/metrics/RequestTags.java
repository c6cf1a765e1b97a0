package io.fluxtally.usage.metrics;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.UsageSource;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The values that a request is counted under. None of them is null, so that each meter has the same keys everywhere. */
record RequestTags(
        String provider,
        String requestModel,
        String responseModel,
        String agent,
        RequestOutcome outcome,
        UsageSource source) {

    /** The one kind of request that is booked. */
    private static final String OPERATION = "chat";

    /** The same with nothing that an app or a provider chooses. */
    RequestTags overflowing() {
        return new RequestTags(TagValues.OTHER, TagValues.OTHER, TagValues.OTHER, TagValues.OTHER, outcome, source);
    }

    /** In the order of {@link MetricNaming#tagKeys()}. */
    List<String> values() {
        return List.of(provider, requestModel, responseModel, OPERATION, agent, value(outcome), value(source));
    }

    private static String value(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    Tags tags(MetricNaming naming) {
        List<String> values = values();
        List<Tag> tags = new ArrayList<>(values.size());
        for (int i = 0; i < values.size(); i++) {
            tags.add(Tag.of(naming.tagKeys().get(i), values.get(i)));
        }
        return Tags.of(tags);
    }
}
