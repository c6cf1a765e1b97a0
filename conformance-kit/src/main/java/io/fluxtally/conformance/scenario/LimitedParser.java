package io.fluxtally.conformance.scenario;

import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.events.AliasEvent;
import org.yaml.snakeyaml.events.CollectionEndEvent;
import org.yaml.snakeyaml.events.CollectionStartEvent;
import org.yaml.snakeyaml.events.Event;
import org.yaml.snakeyaml.parser.ParserImpl;
import org.yaml.snakeyaml.reader.StreamReader;

/**
 * A YAML parser that limits aliases and nesting, so that no small file becomes a huge value. SnakeYAML has such limits, but its
 * complaints do not know the line.
 */
final class LimitedParser extends ParserImpl {

    static final int MOST_ALIASES = 32;

    static final int DEEPEST_NESTING = 16;

    private final String file;

    private int aliases;

    private int nesting;

    LimitedParser(String file, StreamReader reader, LoaderOptions options) {
        super(reader, options);
        this.file = file;
    }

    @Override
    public Event getEvent() {
        Event event = super.getEvent();
        if (event instanceof AliasEvent && ++aliases > MOST_ALIASES) {
            throw complaint(event, "a scenario must have at most " + MOST_ALIASES + " aliases, but has more");
        }
        if (event instanceof CollectionStartEvent && ++nesting > DEEPEST_NESTING) {
            throw complaint(
                    event, "a scenario must be nested at most " + DEEPEST_NESTING + " levels deep, but is deeper");
        }
        if (event instanceof CollectionEndEvent) {
            nesting--;
        }
        return event;
    }

    private ScenarioFormatException complaint(Event event, String rule) {
        return new ScenarioFormatException(file, event.getStartMark().getLine() + 1, rule, null);
    }
}
