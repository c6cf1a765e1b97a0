package io.fluxtally.boot.alibaba;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Settings of Spring AI Alibaba's agents and graphs.
 *
 * @param instrument Whether agents and compiled graphs that are beans are measured.
 */
@ConfigurationProperties("fluxtally.alibaba")
public record AlibabaGraphProperties(@DefaultValue("true") boolean instrument) {}
