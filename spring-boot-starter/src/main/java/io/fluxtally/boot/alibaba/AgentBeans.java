package io.fluxtally.boot.alibaba;

import com.alibaba.cloud.ai.graph.agent.Agent;
import io.fluxtally.alibaba.FluxtallyAgents;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageRecorder;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;

/** Measures agents that are beans, before anybody gets them. */
final class AgentBeans implements BeanPostProcessor {

    private final ObjectProvider<UsageRecorder> recorder;

    AgentBeans(ObjectProvider<UsageRecorder> recorder) {
        this.recorder = recorder;
    }

    @Override
    public Object postProcessAfterInitialization(Object bean, String beanName) {
        if (bean instanceof Agent agent) {
            try {
                FluxtallyAgents.instrument(agent, recorder.getObject());
            } catch (RuntimeException | LinkageError failure) {
                MeasuringFailures.report("the agent bean " + beanName, failure);
            }
        }
        return bean;
    }
}
