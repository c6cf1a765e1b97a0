package io.fluxtally.boot.alibaba;

import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.agent.Agent;
import io.fluxtally.alibaba.FluxtallyGraph;
import io.fluxtally.usage.scope.UsageRecorder;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/**
 * Auto-configuration that lets every {@code Agent} and {@code CompiledGraph} bean report exact usage: an agent with its
 * sub-agents and tools stays the same object, a graph that Spring AI Alibaba compiled becomes one that is measured.
 */
@AutoConfiguration
@ConditionalOnClass({CompiledGraph.class, FluxtallyGraph.class})
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@ConditionalOnBooleanProperty(name = "fluxtally.alibaba.instrument", matchIfMissing = true)
@EnableConfigurationProperties(AlibabaGraphProperties.class)
public class AlibabaGraphAutoConfiguration {

    @Bean
    static BeanPostProcessor fluxtallyGraphBeans(ObjectProvider<UsageRecorder> recorder) {
        return new GraphBeans(recorder);
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(Agent.class)
    static class Agents {

        @Bean
        static BeanPostProcessor fluxtallyAgentBeans(ObjectProvider<UsageRecorder> recorder) {
            return new AgentBeans(recorder);
        }
    }
}
