package io.fluxtally.boot.alibaba;

import com.alibaba.cloud.ai.graph.CompiledGraph;
import io.fluxtally.alibaba.FluxtallyGraph;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageRecorder;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;

/** Measures graphs that are beans. One of a class of its own stays as it is. */
final class GraphBeans implements BeanPostProcessor {

    private final ObjectProvider<UsageRecorder> recorder;

    GraphBeans(ObjectProvider<UsageRecorder> recorder) {
        this.recorder = recorder;
    }

    @Override
    public Object postProcessAfterInitialization(Object bean, String beanName) {
        if (bean.getClass() != CompiledGraph.class) {
            return bean;
        }
        try {
            return FluxtallyGraph.of((CompiledGraph) bean, recorder.getObject());
        } catch (RuntimeException | LinkageError failure) {
            MeasuringFailures.report("the graph bean " + beanName, failure);
            return bean;
        }
    }
}
