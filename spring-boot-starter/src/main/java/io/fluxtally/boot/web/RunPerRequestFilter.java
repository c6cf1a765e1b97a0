package io.fluxtally.boot.web;

import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.scope.UsageScope;
import jakarta.servlet.AsyncEvent;
import jakarta.servlet.AsyncListener;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.springframework.web.context.request.NativeWebRequest;
import org.springframework.web.context.request.async.CallableProcessingInterceptor;
import org.springframework.web.context.request.async.WebAsyncUtils;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Makes each request a run, which ends with the response: where that is written asynchronously, when the container says so.
 *
 * <p>The run is bound to the thread of the request, to that of a {@code Callable} or {@code StreamingResponseBody} that the
 * controller returns, and to that of an asynchronous dispatch. A publisher that the controller returns is subscribed on the
 * first of these.
 */
final class RunPerRequestFilter extends OncePerRequestFilter {

    private static final String RUN = RunPerRequestFilter.class.getName() + ".RUN";

    private final UsageRuns runs;

    RunPerRequestFilter(UsageRuns runs) {
        this.runs = runs;
    }

    /** The result of asynchronous work is written in such a dispatch, and whoever does that may ask for the run. */
    @Override
    protected boolean shouldNotFilterAsyncDispatch() {
        return false;
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        UsageRun run = run(request);
        UsageScope.Binding binding = run.bind();
        try (binding) {
            chain.doFilter(request, response);
        } finally {
            closeAtEnd(request, run);
        }
    }

    private UsageRun run(HttpServletRequest request) {
        if (request.getAttribute(RUN) instanceof UsageRun run) {
            return run;
        }
        UsageRun run = runs.open();
        request.setAttribute(RUN, run);
        WebAsyncUtils.getAsyncManager(request).registerCallableInterceptor(RUN, new OnThreadOfCallable(run));
        return run;
    }

    private static void closeAtEnd(HttpServletRequest request, UsageRun run) {
        if (request.isAsyncStarted()) {
            // Of every dispatch that begins something asynchronous: the listeners of the one before are let go then.
            request.getAsyncContext().addListener(new CloseOnComplete(run));
        } else {
            run.close();
        }
    }

    /** An error or a timeout may still be answered; after all of it, the container calls the request complete. */
    private record CloseOnComplete(UsageRun run) implements AsyncListener {

        @Override
        public void onComplete(AsyncEvent event) {
            run.close();
        }

        @Override
        public void onTimeout(AsyncEvent event) {}

        @Override
        public void onError(AsyncEvent event) {}

        @Override
        public void onStartAsync(AsyncEvent event) {}
    }

    /** Spring runs what a controller returns to be called on a thread of its own. One at a time for a request. */
    private static final class OnThreadOfCallable implements CallableProcessingInterceptor {

        private final UsageRun run;
        private UsageScope.@Nullable Binding binding;

        OnThreadOfCallable(UsageRun run) {
            this.run = run;
        }

        @Override
        public <T> void preProcess(NativeWebRequest request, Callable<T> task) {
            UsageScope there = UsageScope.current();
            // An executor that carries scopes has brought one that may be narrower.
            if (there == null || there.runScope() == null) {
                binding = run.bind();
            }
        }

        @Override
        public <T> void postProcess(NativeWebRequest request, Callable<T> task, @Nullable Object concurrentResult) {
            UsageScope.Binding bound = binding;
            if (bound != null) {
                binding = null;
                bound.close();
            }
        }
    }
}
