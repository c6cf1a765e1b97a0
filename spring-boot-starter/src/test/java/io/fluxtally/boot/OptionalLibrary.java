package io.fluxtally.boot;

import java.util.List;

/** A library that an app may be without, by the packages and the jars it consists of. */
enum OptionalLibrary {
    WEBFLUX(List.of("org.springframework.web.reactive"), "spring-webflux-"),
    SERVLETS(List.of("jakarta.servlet"), "jakarta.servlet-api-", "tomcat-embed-core-", "spring-webmvc-"),
    ACTUATOR(List.of("org.springframework.boot.actuate"), "spring-boot-actuator-"),
    MICROMETER(List.of("io.micrometer.core"), "micrometer-core-", "micrometer-jakarta9-", "micrometer-registry-"),
    CHAT_CLIENT(List.of("org.springframework.ai.chat.client"), "spring-ai-client-chat-"),
    DASHSCOPE(List.of("com.alibaba.cloud.ai.dashscope"), "spring-ai-alibaba-dashscope-"),
    GRAPH(List.of("com.alibaba.cloud.ai.graph"), "spring-ai-alibaba-graph-core-", "spring-ai-alibaba-agent-framework-"),
    AGENTS(List.of("com.alibaba.cloud.ai.graph.agent"), "spring-ai-alibaba-agent-framework-"),
    SPRING_JDBC(List.of("org.springframework.jdbc"), "spring-jdbc-"),
    LEDGER(List.of("io.fluxtally.ledger"), "fluxtally-ledger"),
    ALIBABA_ADAPTER(List.of("io.fluxtally.alibaba"), "fluxtally-alibaba-graph-adapter"),
    DASHSCOPE_ADAPTER(List.of("io.fluxtally.dashscope"), "fluxtally-dashscope-adapter");

    private final List<String> packages;
    private final List<String> jars;

    OptionalLibrary(List<String> packages, String... jars) {
        this.packages = packages;
        this.jars = List.of(jars);
    }

    List<String> packages() {
        return packages;
    }

    /** Whether an entry of a class path is a jar of this library, or the folder that it is built in. */
    boolean isIn(String entry) {
        String name = entry.replace('\\', '/');
        String file = name.substring(name.lastIndexOf('/') + 1);
        return jars.stream()
                .anyMatch(jar -> file.startsWith(jar)
                        || (jar.startsWith("fluxtally-")
                                && name.endsWith("/" + jar.substring("fluxtally-".length()) + "/target/classes")));
    }
}
