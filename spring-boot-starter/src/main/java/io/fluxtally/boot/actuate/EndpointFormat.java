package io.fluxtally.boot.actuate;

import java.nio.charset.StandardCharsets;
import org.springframework.boot.actuate.endpoint.ApiVersion;
import org.springframework.boot.actuate.endpoint.Producible;
import org.springframework.util.MimeType;
import org.springframework.util.MimeTypeUtils;

/**
 * In which forms the endpoint answers. Boot takes the last one that the client accepts, so what only browsers ask for is last.
 */
enum EndpointFormat implements Producible<EndpointFormat> {
    /** JSON under the name that Boot gives it, for clients that accept no other. */
    ACTUATOR_JSON(ApiVersion.LATEST.getProducedMimeType()),
    /** JSON, also for clients that accept everything. */
    JSON(MimeTypeUtils.APPLICATION_JSON),
    /** A page. */
    HTML(new MimeType(MimeTypeUtils.TEXT_HTML, StandardCharsets.UTF_8));

    private final MimeType type;

    EndpointFormat(MimeType type) {
        this.type = type;
    }

    @Override
    public MimeType getProducedMimeType() {
        return type;
    }

    @Override
    public boolean isDefault() {
        return this == JSON;
    }
}
