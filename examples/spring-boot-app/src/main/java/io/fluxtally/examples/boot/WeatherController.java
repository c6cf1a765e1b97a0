package io.fluxtally.examples.boot;

import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.boot.web.UsageEvents;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.http.MediaType;
import org.springframework.http.codec.ServerSentEvent;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import reactor.core.publisher.Flux;

/** Streams an answer, and tells what it used. */
@RestController
class WeatherController {

    private final ChatClient chat;
    private final UsageRuns runs;

    WeatherController(ChatClient.Builder chat, UsageRuns runs) {
        this.chat = chat.defaultTools(new WeatherTools()).build();
        this.runs = runs;
    }

    @GetMapping(path = "/weather", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    Flux<ServerSentEvent<Object>> weather(@RequestParam String question) {
        return runs.trackFlux(
                run -> UsageEvents.with(chat.prompt(question).stream().content(), run));
    }
}
