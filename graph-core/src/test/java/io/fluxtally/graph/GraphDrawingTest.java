package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("the drawing of a graph")
class GraphDrawingTest {

    private static final NodeAction NOTHING = (state, run) -> NodeResult.none();

    private static final CompiledGraph TRIP = new StateGraph("trip")
            .addNode("plan", NOTHING)
            .addNode("book_hotel", NOTHING)
            .addEdge(StateGraph.START, "plan")
            .addConditionalEdges("plan", state -> "done", Map.of("again", "book_hotel", "done", StateGraph.END))
            .addEdge("book_hotel", "plan")
            .compile();

    /** Whatever the syntaxes give a meaning to. */
    private static final String AWKWARD = "end \"x\" #35; <b>|]} %%{init}%% @enduml\n--> `a` 😀__b__**c** \\n; é!";

    private static RequestUsage.Builder request(String id, String node) {
        return RequestUsage.builder(id, Instant.EPOCH).node(node);
    }

    private static RunUsage usageOf(RequestUsage.Builder... requests) {
        RunTally tally = new RunTally();
        for (RequestUsage.Builder request : requests) {
            tally.add(request.build());
        }
        return tally.usage();
    }

    @Test
    @DisplayName("is a Mermaid flowchart: nodes in their order, plain edges solid, conditional ones dotted")
    void mermaid() {
        assertThat(TRIP.drawing().mermaid()).isEqualTo("""
                ---
                title: "trip"
                ---
                flowchart TD
                    start(["start"])
                    n1["plan"]
                    n2["book_hotel"]
                    finish(["end"])
                    start --> n1
                    n1 -.->|"again"| n2
                    n1 -.->|"done"| finish
                    n2 --> n1
                """);
    }

    @Test
    @DisplayName("shows branches as the several plain edges that they begin with")
    void branches() {
        CompiledGraph graph = new StateGraph("both")
                .addNode("a", NOTHING)
                .addNode("b", NOTHING)
                .addEdge(StateGraph.START, "a")
                .addEdge(StateGraph.START, "b")
                .addEdge("a", StateGraph.END)
                .addEdge("b", StateGraph.END)
                .compile();

        assertThat(graph.drawing().mermaid()).endsWith("""
                    start --> n1
                    start --> n2
                    n1 --> finish
                    n2 --> finish
                """);
    }

    @Test
    @DisplayName("is a PlantUML state diagram: nodes in their order, plain edges solid, conditional ones dotted")
    void plantUml() {
        assertThat(TRIP.drawing().plantUml()).isEqualTo("""
                @startuml
                title trip
                hide empty description
                state "plan" as n1
                state "book_hotel" as n2
                [*] --> n1
                n1 -[dotted]-> n2 : again
                n1 -[dotted]-> [*] : done
                n2 --> n1
                @enduml
                """);
    }

    @Test
    @DisplayName("has after a run what each node used, the run's total in the title, and says where that is not all")
    void usage() {
        RunUsage usage = usageOf(
                request("a", "plan").usage(TokenUsage.of(5000, 2000), UsageSource.REPORTED),
                request("b", "plan").usage(TokenUsage.of(6000, 2500), UsageSource.REPORTED),
                request("c", "book_hotel").usage(TokenUsage.of(70, 5), UsageSource.PARTIAL),
                request("d", "of a graph inside").usage(TokenUsage.of(1, 1), UsageSource.REPORTED));

        assertThat(TRIP.drawing().with(usage).mermaid()).isEqualTo("""
                ---
                title: "trip, input 11071, output 4506, total 15577, incomplete"
                ---
                flowchart TD
                    start(["start"])
                    n1["plan<br/>input 11000, output 4500, total 15500"]
                    n2["book_hotel<br/>input 70, output 5, total 75, incomplete"]
                    finish(["end"])
                    start --> n1
                    n1 -.->|"again"| n2
                    n1 -.->|"done"| finish
                    n2 --> n1
                """);
        assertThat(TRIP.drawing().with(usage).plantUml()).startsWith("""
                @startuml
                title trip, input 11071, output 4506, total 15577, incomplete
                hide empty description
                state "plan\\ninput 11000, output 4500, total 15500" as n1
                state "book_hotel\\ninput 70, output 5, total 75, incomplete" as n2
                """);
        assertThat(TRIP.drawing().mermaid()).doesNotContain("input");
    }

    @Test
    @DisplayName("never shows as 0 what no provider reported, and nothing at a node that asked no model")
    void missing() {
        String text = TRIP.drawing().with(usageOf(request("a", "book_hotel"))).mermaid();

        assertThat(text)
                .contains("title: \"trip, tokens not reported\"")
                .contains("n1[\"plan\"]")
                .contains("n2[\"book_hotel<br/>tokens not reported\"]");
    }

    @Test
    @DisplayName("of an agent has that agent's requests at its nodes, over all rounds")
    void agent() {
        ReactAgent agent = ReactAgent.builder("weather")
                .model(ScriptedModel.threeRounds("get_weather"))
                .tools(Tool.of("get_weather", input -> "rain"))
                .build();
        RunTally tally = new RunTally();
        tally.addAll(agent.invoke("Rain?").block().runUsage());
        tally.add(request("of another", ReactAgent.LLM_NODE)
                .agent("other")
                .usage(TokenUsage.of(1, 1), UsageSource.REPORTED)
                .build());

        assertThat(agent.graph().drawing().with(tally.usage()).mermaid())
                .isEqualTo("""
                ---
                title: "weather, input 19001, output 7501, total 26502"
                ---
                flowchart TD
                    start(["start"])
                    n1["llm<br/>input 19000, output 7500, total 26500"]
                    n2["tools"]
                    finish(["end"])
                    start --> n1
                    n1 -.->|"__END__"| finish
                    n1 -.->|"tools"| n2
                    n2 -.->|"__END__"| finish
                    n2 -.->|"on"| n1
                """.replace("__END__", "#95;#95;END_#95;"));
    }

    @Test
    @DisplayName("of a loop has all its executions at one node")
    void loop() {
        CompiledGraph graph = Graphs.loop(ScriptedModel.of(Turn.says(10, 1, "a"), Turn.says(20, 2, "b")), 2);

        assertThat(graph.drawing()
                        .with(graph.invoke(Map.of()).block().runUsage())
                        .mermaid())
                .contains("n1[\"ask<br/>input 30, output 3, total 33\"]");
    }

    @Test
    @DisplayName("escapes names of graph, nodes and choices, so that every line is one of its syntax")
    void awkwardNames() {
        GraphDrawing drawing = new StateGraph(AWKWARD)
                .addNode(AWKWARD, NOTHING)
                .addEdge(StateGraph.START, AWKWARD)
                .addConditionalEdges(AWKWARD, state -> "", Map.of(AWKWARD, StateGraph.END, " ", AWKWARD))
                .compile()
                .drawing()
                .with(usageOf(request("a", AWKWARD).usage(TokenUsage.of(1, 2), UsageSource.REPORTED)));

        assertThat(drawing.mermaid().lines()).allMatch(line -> line.matches(MERMAID_LINE));
        assertThat(drawing.mermaid())
                .contains("n1[\"end #34;x#34; #35;35#59; #60;b#62;#124;#93;#125; #37;#37;#123;init#125;#37;#37; "
                        + "#64;enduml#10;#45;#45;#62; #96;a#96; #128512;#95;#95;b_#95;#42;#42;c#42;#42; "
                        + "#92;n#59; é#33;<br/>input 1, output 2, total 3\"]")
                .contains("title: \"end \\U00000022x\\U00000022 ")
                .contains("    n1 --> n1\n");
        assertThat(drawing.plantUml().lines()).allMatch(line -> line.matches(PLANT_UML_LINE));
        assertThat(drawing.plantUml())
                .contains("state \"end <U+0022>x<U+0022> <U+0023>35<U+003B> ")
                .contains("<U+1F600>")
                .contains("<U+005C>n<U+003B>");
    }

    private static final String MERMAID_TEXT = "([\\p{L}\\p{N}_, -]|#\\d+;|<br/>)+";

    private static final String MERMAID_LINE = String.join(
            "|",
            "---",
            "flowchart TD",
            "title: \"([\\p{L}\\p{N}_, -]|\\\\U[0-9A-F]{8})+\"",
            " {4}(start|finish)\\(\\[\"(start|end)\"\\]\\)",
            " {4}n\\d+\\[\"" + MERMAID_TEXT + "\"\\]",
            " {4}(start|n\\d+) (-->|-\\.->\\|\"" + MERMAID_TEXT + "\"\\|) (finish|n\\d+)");

    private static final String PLANT_UML_TEXT = "([\\p{L}\\p{N}_, -]|<U\\+[0-9A-F]{4,6}>)+";

    private static final String PLANT_UML_LINE = String.join(
            "|",
            "@startuml",
            "@enduml",
            "hide empty description",
            "title " + PLANT_UML_TEXT,
            "state \"" + PLANT_UML_TEXT + "(\\\\n" + PLANT_UML_TEXT + ")?\" as n\\d+",
            "(\\[\\*\\]|n\\d+) -->" + " (\\[\\*\\]|n\\d+)",
            "n\\d+ -\\[dotted\\]-> (\\[\\*\\]|n\\d+) : " + PLANT_UML_TEXT);
}
