package io.fluxtally.boot.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.RunRecord;
import io.fluxtally.boot.runs.RunState;
import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import jakarta.servlet.AsyncContext;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.boot.web.servlet.ServletRegistrationBean;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.request.async.DeferredResult;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;
import org.springframework.web.servlet.mvc.method.annotation.StreamingResponseBody;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** On Tomcat, since it is the container that says when a response has ended. */
class RunPerRequestFilterTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static ConfigurableApplicationContext context;
    private static Browser browser;
    private static RunHistory history;
    private static Api api;
    private static ExecutorService threads;

    @BeforeAll
    static void startApp() {
        threads = Executors.newCachedThreadPool();
        context = new SpringApplicationBuilder(App.class)
                .web(WebApplicationType.SERVLET)
                .properties(
                        "server.port=0",
                        "spring.main.banner-mode=off",
                        "spring.ai.openai.api-key=no-key",
                        "spring.ai.dashscope.api-key=no-key",
                        "spring.ai.model.chat=openai",
                        "fluxtally.web.run-per-request=true",
                        "logging.level.root=OFF")
                .run();
        browser = new Browser(Integer.parseInt(context.getEnvironment().getRequiredProperty("local.server.port")));
        history = context.getBean(RunHistory.class);
        api = context.getBean(Api.class);
    }

    @AfterAll
    static void closeApp() {
        context.close();
        threads.shutdownNow();
    }

    @AfterEach
    void nothingIsLeft() {
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(history.open()).isZero());
        assertThat(context.getBean(UsageRecorder.class).unattributed()).isZero();
    }

    private static RunRecord closed(String runId) {
        return await().atMost(PATIENCE)
                .until(() -> history.run(runId).orElseThrow(), run -> run.state() == RunState.CLOSED);
    }

    private static Future<String> asked(String path) {
        return threads.submit(() -> browser.get(path).body());
    }

    @Test
    @DisplayName("what a controller requests is in the run of its request, which is closed behind it")
    void synchronous() throws Exception {
        RunRecord run = closed(browser.get("/sync").body());

        assertThat(run.sum().total()).isEqualTo(TokenUsage.of(10, 1));
        assertThat(browser.get("/sync").body()).isNotEqualTo(run.runId());
    }

    @Test
    @DisplayName("a request that fails is a run that is closed")
    void failed() throws Exception {
        assertThat(browser.get("/fail").statusCode()).isEqualTo(500);

        assertThat(closed(api.last("fail")).sum().requests()).isEqualTo(1);
    }

    @Test
    @DisplayName(
            "a callable is in the run of its request, on the thread that Spring gives it, and so is a body that is written")
    void callable() throws Exception {
        assertThat(closed(browser.get("/callable").body()).sum().requests()).isEqualTo(1);
        assertThat(closed(browser.get("/body").body()).sum().requests()).isEqualTo(1);
        // The threads are given back as they were.
        for (int i = 0; i < 20; i++) {
            assertThat(context.getBean("applicationTaskExecutor", org.springframework.core.task.AsyncTaskExecutor.class)
                            .submit(() -> UsageScope.current() == null)
                            .get())
                    .isTrue();
        }
    }

    @Test
    @DisplayName("a callable that fails is in the run of its request, which is closed")
    void callableFails() throws Exception {
        assertThat(browser.get("/callable-fails").statusCode()).isEqualTo(500);

        assertThat(closed(api.last("callable-fails")).sum().requests()).isEqualTo(1);
    }

    @Test
    @DisplayName("a run is open for as long as its response is awaited, and closed when it has come")
    void deferred() throws Exception {
        Future<String> answer = asked("/deferred");
        String runId = api.begun("deferred");
        assertThat(history.run(runId).orElseThrow().state()).isEqualTo(RunState.OPEN);

        api.deferred.get().setResult("done");

        assertThat(answer.get()).isEqualTo("done");
        closed(runId);
    }

    @Test
    @DisplayName("a response that nobody gives is a run that is closed when the container gives it up")
    void timeout() throws Exception {
        assertThat(browser.get("/timeout").statusCode()).isEqualTo(503);

        closed(api.last("timeout"));
    }

    @Test
    @DisplayName("a run is open for as long as an emitter emits, also when it ends by an error")
    void emitter() throws Exception {
        for (IOException error : new IOException[] {null, new IOException("reset")}) {
            Future<?> answer = threads.submit(() -> {
                try {
                    browser.get("/emitter");
                } catch (IOException cutOff) {
                    // As the error has it.
                }
                return null;
            });
            String runId = api.begun("emitter");
            SseEmitter emitter = api.emitter.get();
            emitter.send("a");
            assertThat(history.run(runId).orElseThrow().state()).isEqualTo(RunState.OPEN);

            if (error == null) {
                emitter.complete();
            } else {
                emitter.completeWithError(error);
            }

            answer.get();
            closed(runId);
            api.forget();
        }
    }

    @Test
    @DisplayName("T18: a flux that a controller returns finds the run, on whatever threads it goes on")
    void flux() throws Exception {
        String[] runIds =
                browser.get("/flux").body().replace("data:", "").trim().split("\\s+");

        assertThat(runIds).hasSize(2);
        assertThat(runIds[0]).isEqualTo(runIds[1]);
        assertThat(closed(runIds[0]).sum().requests()).isEqualTo(2);
    }

    @Test
    @DisplayName("a browser that leaves in mid-stream closes the run, with what the cancel has booked")
    void left() throws Exception {
        browser.leave("/endless", "data:", 3);

        assertThat(closed(api.last("endless")).sum().requests()).isEqualTo(1);
    }

    @Test
    @DisplayName("a servlet that answers asynchronously by itself is a run until it has")
    void rawServlet() throws Exception {
        Future<String> answer = asked("/raw");
        String runId = api.begun("raw");
        assertThat(history.run(runId).orElseThrow().state()).isEqualTo(RunState.OPEN);

        AsyncContext raw = api.raw.get();
        raw.getResponse().getOutputStream().write("done".getBytes(StandardCharsets.US_ASCII));
        raw.complete();

        assertThat(answer.get()).isEqualTo("done");
        closed(runId);
    }

    @Test
    @DisplayName("an asynchronous dispatch, and another asynchronous answer in it, are in the same run")
    void dispatchedAgain() throws Exception {
        Future<String> answer = asked("/again");
        String runId = api.begun("again");

        assertThat(answer.get()).isEqualTo(runId);
        assertThat(closed(runId).sum().requests()).isEqualTo(1);
    }

    @Test
    @DisplayName("the run is there for the app's filters, and not for those that observe the request")
    void order() throws Exception {
        String runId = browser.get("/sync").body();

        assertThat(api.last("filter")).isEqualTo(runId);
        assertThat(api.last("observing")).isEqualTo("none");
        closed(runId);
    }

    @SpringBootConfiguration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class App {

        @Bean
        Api api(UsageRuns runs, UsageRecorder recorder) {
            return new Api(runs, recorder);
        }

        @Bean
        FilterRegistrationBean<Filter> observing(Api api) {
            FilterRegistrationBean<Filter> filter = asking("observing", api);
            // Where Boot has its own.
            filter.setOrder(org.springframework.core.Ordered.HIGHEST_PRECEDENCE + 1);
            return filter;
        }

        @Bean
        FilterRegistrationBean<Filter> first(Api api) {
            FilterRegistrationBean<Filter> filter = asking("filter", api);
            // The first of Boot's filters that apps put their own before.
            filter.setOrder(-1000);
            return filter;
        }

        private static FilterRegistrationBean<Filter> asking(String name, Api api) {
            FilterRegistrationBean<Filter> filter = new FilterRegistrationBean<>((request, response, chain) -> {
                api.note(name);
                chain.doFilter(request, response);
            });
            filter.setName(name);
            return filter;
        }

        @Bean
        ServletRegistrationBean<HttpServlet> rawServlet(Api api) {
            return new ServletRegistrationBean<>(
                    new HttpServlet() {
                        private static final long serialVersionUID = 1L;

                        @Override
                        protected void doGet(HttpServletRequest request, HttpServletResponse response)
                                throws IOException {
                            if (request.getDispatcherType() == DispatcherType.ASYNC) {
                                AsyncContext async = request.startAsync();
                                api.book();
                                response.getOutputStream()
                                        .write(api.current().id().getBytes(StandardCharsets.US_ASCII));
                                threads.execute(async::complete);
                            } else {
                                AsyncContext async = request.startAsync();
                                boolean again = request.getRequestURI().equals("/again");
                                if (again) {
                                    threads.execute(async::dispatch);
                                } else {
                                    api.raw.complete(async);
                                }
                                api.note(again ? "again" : "raw");
                            }
                        }
                    },
                    "/raw",
                    "/again");
        }
    }

    @RestController
    static final class Api {

        private final UsageRuns runs;
        private final UsageRecorder recorder;
        private final Map<String, CompletableFuture<String>> noted = new ConcurrentHashMap<>();
        private CompletableFuture<DeferredResult<String>> deferred = new CompletableFuture<>();
        private volatile CompletableFuture<SseEmitter> emitter = new CompletableFuture<>();
        private final CompletableFuture<AsyncContext> raw = new CompletableFuture<>();

        Api(UsageRuns runs, UsageRecorder recorder) {
            this.runs = runs;
            this.recorder = recorder;
        }

        UsageRun current() {
            return runs.current().orElseThrow();
        }

        void note(String what) {
            CompletableFuture<String> note = CompletableFuture.completedFuture(
                    runs.current().map(UsageRun::id).orElse("none"));
            CompletableFuture<String> awaited = noted.put(what, note);
            if (awaited != null) {
                awaited.complete(note.join());
            }
        }

        String last(String what) {
            return noted.get(what).join();
        }

        /** The run of a request that has come, or will. */
        String begun(String what) {
            return noted.computeIfAbsent(what, key -> new CompletableFuture<>())
                    .orTimeout(PATIENCE.toSeconds(), java.util.concurrent.TimeUnit.SECONDS)
                    .join();
        }

        void forget() {
            noted.clear();
            emitter = new CompletableFuture<>();
        }

        void book() {
            book(UsageScope.current());
        }

        void book(UsageScope scope) {
            recorder.book(
                    scope == null ? null : scope.runScope(),
                    RequestUsage.builder(UUID.randomUUID().toString(), Instant.EPOCH)
                            .runId(scope == null ? null : scope.runScope().runId())
                            .usage(TokenUsage.of(10, 1), UsageSource.REPORTED)
                            .build());
        }

        @GetMapping("/sync")
        String sync() {
            book();
            return current().id();
        }

        @GetMapping("/fail")
        String fail() {
            book();
            note("fail");
            throw new IllegalStateException("no model");
        }

        @GetMapping("/callable")
        Callable<String> callable() {
            return this::sync;
        }

        @GetMapping("/callable-fails")
        Callable<String> callableFails() {
            return () -> {
                book();
                note("callable-fails");
                throw new IllegalStateException("no model");
            };
        }

        @GetMapping("/body")
        StreamingResponseBody body() {
            return out -> out.write(sync().getBytes(StandardCharsets.US_ASCII));
        }

        @GetMapping("/deferred")
        DeferredResult<String> deferred() {
            DeferredResult<String> result = new DeferredResult<>();
            deferred.complete(result);
            note("deferred");
            return result;
        }

        @GetMapping("/timeout")
        DeferredResult<String> timeout() {
            note("timeout");
            return new DeferredResult<>(1L);
        }

        @GetMapping("/emitter")
        SseEmitter emitter() {
            SseEmitter result = new SseEmitter(0L);
            emitter.complete(result);
            note("emitter");
            return result;
        }

        @GetMapping(path = "/flux", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
        Flux<String> flux() {
            Mono<String> request = Mono.deferContextual(context -> {
                book(UsageScope.current(context));
                return Mono.just(runs.current(context).orElseThrow().id());
            });
            return request.concatWith(Mono.just(1)
                    .publishOn(Schedulers.parallel())
                    .flatMap(n -> request.subscribeOn(Schedulers.boundedElastic())));
        }

        @GetMapping(path = "/endless", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
        Flux<String> endless() {
            note("endless");
            return Flux.deferContextual(context -> {
                UsageScope scope = UsageScope.current(context);
                return Flux.interval(Duration.ofMillis(10))
                        .onBackpressureDrop()
                        .map(String::valueOf)
                        .doOnCancel(() -> book(scope));
            });
        }
    }
}
