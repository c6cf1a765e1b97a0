package io.fluxtally.dashscope;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.common.DashScopeApiConstants;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import io.fluxtally.usage.TokenUsage;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.model.ApiKey;
import org.springframework.ai.retry.RetryUtils;
import org.springframework.http.ResponseEntity;
import org.springframework.util.LinkedMultiValueMap;
import org.springframework.util.MultiValueMap;
import org.springframework.web.client.ResponseErrorHandler;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;

/**
 * A {@code DashScopeApi} whose answers never make the chat model fail for their usage.
 *
 * <p>Under {@code DashScopeChatModel} 1.1.2.2 a usage without counts ends a stream with a {@code NullPointerException}, in
 * the middle of an answer that is paid for, and throws one out of the answer of a call when it is read: the
 * {@code "usage":{}} of the first frame of a search, and the details-only usage of speech recognition. Here the first is
 * no usage, and the second has the counts that its details add up to. Nothing else is changed.
 *
 * <p>What {@code mutate()} makes of it is a plain {@code DashScopeApi} again. Safe for use by any number of threads.
 */
public class RepairingDashScopeApi extends DashScopeApi {

    /** An api with everything set; see {@link DashScopeApi}. */
    public RepairingDashScopeApi(
            String baseUrl,
            ApiKey apiKey,
            MultiValueMap<String, String> headers,
            @Nullable String workSpaceId,
            String completionsPath,
            String embeddingsPath,
            String rerankPath,
            RestClient.Builder restClientBuilder,
            WebClient.Builder webClientBuilder,
            ResponseErrorHandler responseErrorHandler) {
        super(
                baseUrl,
                apiKey,
                headers,
                workSpaceId,
                completionsPath,
                embeddingsPath,
                rerankPath,
                restClientBuilder,
                webClientBuilder,
                responseErrorHandler);
    }

    /** An api with DashScope's paths. The clients are used as they are given: their timeouts and pools are yours. */
    public static RepairingDashScopeApi of(
            String baseUrl, ApiKey apiKey, RestClient.Builder restClientBuilder, WebClient.Builder webClientBuilder) {
        return new RepairingDashScopeApi(
                baseUrl,
                apiKey,
                new LinkedMultiValueMap<>(),
                null,
                DashScopeApiConstants.TEXT_GENERATION_RESTFUL_URL,
                DashScopeApiConstants.TEXT_EMBEDDING_RESTFUL_URL,
                DashScopeApiConstants.TEXT_RERANK_RESTFUL_URL,
                restClientBuilder,
                webClientBuilder,
                RetryUtils.DEFAULT_RESPONSE_ERROR_HANDLER);
    }

    @Override
    public ResponseEntity<DashScopeApiSpec.ChatCompletion> chatCompletionEntity(
            DashScopeApiSpec.ChatCompletionRequest request, MultiValueMap<String, String> headers) {
        ResponseEntity<DashScopeApiSpec.ChatCompletion> response = super.chatCompletionEntity(request, headers);
        DashScopeApiSpec.ChatCompletion body = response.getBody();
        if (body == null || isSound(body.usage())) {
            return response;
        }
        return ResponseEntity.status(response.getStatusCode())
                .headers(response.getHeaders())
                .body(new DashScopeApiSpec.ChatCompletion(body.requestId(), body.output(), repaired(body.usage())));
    }

    @Override
    public Flux<DashScopeApiSpec.ChatCompletionChunk> chatCompletionStream(
            DashScopeApiSpec.ChatCompletionRequest request, MultiValueMap<String, String> headers) {
        return super.chatCompletionStream(request, headers)
                .map(chunk -> isSound(chunk.usage())
                        ? chunk
                        : new DashScopeApiSpec.ChatCompletionChunk(
                                chunk.requestId(), chunk.output(), repaired(chunk.usage()), chunk.o()));
    }

    /** Whether the chat model can take a usage: none, or one with all three counts. */
    private static boolean isSound(DashScopeApiSpec.@Nullable TokenUsage usage) {
        return usage == null
                || (usage.inputTokens() != null && usage.outputTokens() != null && usage.totalTokens() != null);
    }

    private static DashScopeApiSpec.@Nullable TokenUsage repaired(DashScopeApiSpec.TokenUsage usage) {
        TokenUsage counted = DashScopeUsages.toTokenUsage(usage);
        if (counted == null) {
            return null;
        }
        return new DashScopeApiSpec.TokenUsage(
                counted.getCompletionTokens(),
                counted.getPromptTokens(),
                counted.getTotalTokens(),
                usage.imageTokens(),
                usage.videoTokens(),
                usage.audioTokens(),
                usage.seconds(),
                usage.inputTokensDetails(),
                usage.outputTokensDetails(),
                usage.promptTokenDetailed());
    }
}
