package io.fluxtally.graph.scripted;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.definition.ToolDefinition;
import org.springframework.ai.tool.metadata.ToolMetadata;

/** A tool made of a function; counts its calls. */
public final class Tool implements ToolCallback {

    private final String name;
    private final boolean returnDirect;
    private final Function<String, String> work;
    private final AtomicInteger calls = new AtomicInteger();

    private Tool(String name, boolean returnDirect, Function<String, String> work) {
        this.name = name;
        this.returnDirect = returnDirect;
        this.work = work;
    }

    /** A tool whose answer goes to the model. */
    public static Tool of(String name, Function<String, String> work) {
        return new Tool(name, false, work);
    }

    /** A tool whose answer goes to the user. */
    public static Tool direct(String name, Function<String, String> work) {
        return new Tool(name, true, work);
    }

    /** How often it was called. */
    public int calls() {
        return calls.get();
    }

    @Override
    public ToolDefinition getToolDefinition() {
        return ToolDefinition.builder()
                .name(name)
                .description("A tool of a test.")
                .inputSchema("{}")
                .build();
    }

    @Override
    public ToolMetadata getToolMetadata() {
        return ToolMetadata.builder().returnDirect(returnDirect).build();
    }

    @Override
    public String call(String input) {
        calls.incrementAndGet();
        return work.apply(input);
    }
}
