package io.fluxtally.dashscope;

import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec.InputTokenDetailed;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec.OutputTokenDetailed;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec.PromptTokenDetailed;

/** Makes DashScope's usage record, whose ten components are easily mistaken for each other. */
final class NativeUsage {

    Integer input;
    Integer output;
    Integer total;
    Integer image;
    Integer video;
    Integer audio;
    InputTokenDetailed inputDetails;
    OutputTokenDetailed outputDetails;
    PromptTokenDetailed promptDetails;

    static NativeUsage of(Integer input, Integer output, Integer total) {
        NativeUsage usage = new NativeUsage();
        usage.input = input;
        usage.output = output;
        usage.total = total;
        return usage;
    }

    NativeUsage media(Integer imageTokens, Integer audioTokens, Integer videoTokens) {
        image = imageTokens;
        audio = audioTokens;
        video = videoTokens;
        return this;
    }

    NativeUsage inputDetails(Integer text, Integer imageTokens, Integer audioTokens) {
        inputDetails = new InputTokenDetailed(text, imageTokens, audioTokens);
        return this;
    }

    /** The record's second component is the reasoning, under the name {@code image}. */
    NativeUsage outputDetails(Integer text, Integer reasoning) {
        outputDetails = new OutputTokenDetailed(text, reasoning);
        return this;
    }

    NativeUsage cache(Integer cached, Integer created, Integer ephemeral) {
        promptDetails = new PromptTokenDetailed(
                cached, ephemeral == null ? null : new DashScopeApiSpec.CacheCreation(ephemeral), created, null);
        return this;
    }

    DashScopeApiSpec.TokenUsage build() {
        return new DashScopeApiSpec.TokenUsage(
                output, input, total, image, video, audio, null, inputDetails, outputDetails, promptDetails);
    }
}
