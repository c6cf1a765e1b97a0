package io.fluxtally.conformance.engine;

import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.graph.StreamingOutput;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.WireTap;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tool.ToolCallback;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * How an app asks a scenario's model.
 *
 * <p>Safe for use by any number of threads.
 */
public enum Engine {
    /** The bare {@code ChatModel}, with the tool loop that it has inside. */
    MODEL {
        @Override
        Flux<?> ask(Mode mode, ChatModel model, ToolCallingChatOptions options, @Nullable UsageRecorder recorder) {
            Prompt prompt = new Prompt(new UserMessage(QUESTION), options);
            return mode == Mode.STREAM ? model.stream(prompt) : Flux.just(model.call(prompt));
        }
    },
    /** Spring AI's {@code ChatClient} over the model. */
    CHAT_CLIENT {
        @Override
        Flux<?> ask(Mode mode, ChatModel model, ToolCallingChatOptions options, @Nullable UsageRecorder recorder) {
            ChatClient.ChatClientRequestSpec request =
                    ChatClient.create(model).prompt(new Prompt(new UserMessage(QUESTION), options));
            return mode == Mode.STREAM
                    ? request.stream().chatResponse()
                    : Mono.justOrEmpty(request.call().chatResponse()).flux();
        }
    },
    /** The agent of graph-core. */
    GRAPH {
        @Override
        Flux<?> ask(Mode mode, ChatModel model, ToolCallingChatOptions options, @Nullable UsageRecorder recorder) {
            ReactAgent agent = ReactAgent.builder("replay")
                    .model(model)
                    .options(options)
                    .tools(options.getToolCallbacks().toArray(ToolCallback[]::new))
                    .recorder(recorder == null ? UsageRecorder.withSinks() : recorder)
                    .build();
            return mode == Mode.STREAM
                    ? agent.stream(QUESTION)
                            .filter(output -> output instanceof StreamingOutput chunk && !chunk.isComplete())
                    : agent.invoke(QUESTION).flux();
        }
    },
    /** The agent of Spring AI Alibaba. */
    ALIBABA {
        @Override
        Flux<?> ask(Mode mode, ChatModel model, ToolCallingChatOptions options, @Nullable UsageRecorder recorder) {
            return AlibabaAgent.ask(QUESTION, mode, model, options, recorder);
        }

        @Override
        List<ChatResponse> read(List<?> elements, RecordingChatModel model) {
            return AlibabaAgent.read(elements);
        }

        @Override
        boolean cancelsAtOnce() {
            return false;
        }
    };

    /** How long an app waits for the next element of a provider that hangs, before it leaves. */
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private static final String QUESTION = "上海天气怎么样？";

    /**
     * Asks the model; to be called where the app is subscribed to, since a blocking call happens here.
     *
     * @param recorder where Fluxtally books, or null for an app without it
     */
    abstract Flux<?> ask(Mode mode, ChatModel model, ToolCallingChatOptions options, @Nullable UsageRecorder recorder);

    /** Whether a cancel reaches the model before the app goes on; some finish handing on an element first. */
    boolean cancelsAtOnce() {
        return true;
    }

    /** What the app can read: what its model answered, unless something else hands it on. */
    List<ChatResponse> read(List<?> elements, RecordingChatModel model) {
        return model.responses();
    }

    /** The engine's name on the command line and in results. */
    public String word() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * Runs a scenario's app with Fluxtally: the wire tap in its HTTP clients, its model decorated, in a run of its own.
     * Errors that the app sees are in what comes
     * out; it leaves a provider that is silent for 20 s.
     *
     * @param baseUrl a loopback provider that replays the scenario
     */
    public Mono<AppRun> measured(Scenario scenario, String baseUrl) {
        return measured(scenario, baseUrl, EnumSet.of(Seam.WIRE_TAP, Seam.DECORATOR));
    }

    /**
     * Runs a scenario's app with Fluxtally at the given seams alone, in a run of its own.
     *
     * @param baseUrl a loopback provider that replays the scenario
     */
    public Mono<AppRun> measured(Scenario scenario, String baseUrl, Set<Seam> seams) {
        return Mono.defer(() -> {
            UsageRecorder recorder = UsageRecorder.withSinks();
            WireTap tap = seams.contains(Seam.WIRE_TAP)
                    ? WireTap.builder().recorder(recorder).build()
                    : null;
            ClientModels.Configured client = ClientModels.create(scenario, baseUrl, tap);
            ChatModel measured = client.model();
            if (seams.contains(Seam.OPERATOR)) {
                measured = new CapturedChatModel(measured, recorder);
            }
            if (seams.contains(Seam.DECORATOR)) {
                measured = UsageChatModel.of(measured, recorder);
            }
            RecordingChatModel model = new RecordingChatModel(measured);
            RunScope run = RunScope.start();
            Flux<?> app = Flux.defer(() -> {
                UsageScope.Binding binding = run.bind();
                try (binding) {
                    return ask(scenario.mode(), model, client.options(), recorder);
                }
            });
            boolean bookedAtTheEnd = cancelsAtOnce() && !seams.equals(EnumSet.of(Seam.WIRE_TAP));
            return toEnd(scenario, run.wrap(app), model, bookedAtTheEnd ? Mono.fromSupplier(run::usage) : settled(run));
        });
    }

    /** A run's usage once nothing is in flight: without a call around it, a cancel may reach the wire after the app's end. */
    private static Mono<RunUsage> settled(RunScope run) {
        return Flux.interval(Duration.ZERO, Duration.ofMillis(1))
                .map(tick -> run.usage())
                .filter(usage -> usage.inFlight() == 0)
                .next()
                .timeout(PATIENCE, Mono.fromSupplier(run::usage));
    }

    /**
     * Runs a scenario's app without Fluxtally. Errors that the app sees are in what comes out.
     *
     * @param baseUrl a loopback provider that replays the scenario
     */
    public Mono<AppRun> stock(Scenario scenario, String baseUrl) {
        return Mono.defer(() -> {
            ClientModels.Configured client = ClientModels.create(scenario, baseUrl, null);
            RecordingChatModel model = new RecordingChatModel(client.model());
            Flux<?> app = Flux.defer(() -> ask(scenario.mode(), model, client.options(), null));
            return toEnd(scenario, app, model, Mono.just(RunUsage.EMPTY));
        });
    }

    private Mono<AppRun> toEnd(Scenario scenario, Flux<?> app, RecordingChatModel model, Mono<RunUsage> usage) {
        Integer cancelAfter = scenario.cancelAfter();
        List<Object> elements = new CopyOnWriteArrayList<>();
        return (cancelAfter == null ? app : app.take(cancelAfter))
                .timeout(PATIENCE)
                .doOnNext(elements::add)
                .then(usage.map(counted -> new AppRun(read(elements, model), null, counted)))
                .onErrorResume(error -> usage.map(counted -> new AppRun(read(elements, model), error, counted)));
    }
}
