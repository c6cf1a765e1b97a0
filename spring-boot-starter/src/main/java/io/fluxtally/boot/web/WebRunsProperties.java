package io.fluxtally.boot.web;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Settings of the HTTP requests that the app answers.
 *
 * @param runPerRequest Whether each HTTP request that the app answers is a run.
 */
@ConfigurationProperties("fluxtally.web")
public record WebRunsProperties(@DefaultValue("false") boolean runPerRequest) {}
