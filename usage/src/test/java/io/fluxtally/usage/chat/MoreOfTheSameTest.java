package io.fluxtally.usage.chat;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.EmptyUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.openai.api.OpenAiApi;

/** Answers in which some chunks need not be added, and some figures not be read, beside the same with all of them. */
class MoreOfTheSameTest {

    private static final Usage NOTHING = new EmptyUsage();
    private static final OpenAiApi.Usage RECORD = new OpenAiApi.Usage(20, 100, 120);

    /** A figure that is read when it comes, since nobody knows whether the class has it still later. */
    private static final class Eager extends DefaultUsage {

        Eager(DefaultUsage usage) {
            super(usage.getPromptTokens(), usage.getCompletionTokens(), usage.getTotalTokens(), usage.getNativeUsage());
        }
    }

    /** A usage, in the form in which it is read late, and in that in which it is read at once. */
    private record Carried(Usage late, Usage atOnce) {

        static Carried of(DefaultUsage usage) {
            return new Carried(usage, new Eager(usage));
        }
    }

    private static final List<Carried> CARRIED = List.of(
            new Carried(NOTHING, NOTHING),
            Carried.of(new DefaultUsage(0, 0, 0)),
            Carried.of(new DefaultUsage(100, 20)),
            Carried.of(new DefaultUsage(100, 20)),
            Carried.of(new DefaultUsage(0, 7)),
            Carried.of(new DefaultUsage(300, 60, 400)),
            Carried.of(new DefaultUsage(100, 20, 120, RECORD)));

    /**
     * A chunk.
     *
     * @param carried which usage it has; a new empty one of its own if it is negative
     */
    record Piece(String id, String model, boolean hasContent, String reason, int carried) {

        ChatResponse chunk(boolean late) {
            Carried usage = carried < 0 ? null : CARRIED.get(carried);
            ChatResponseMetadata.Builder metadata =
                    ChatResponseMetadata.builder().id(id).model(model);
            metadata.usage(usage == null ? new EmptyUsage() : late ? usage.late : usage.atOnce);
            List<Generation> generations = hasContent
                    ? List.of(new Generation(
                            new AssistantMessage("text"),
                            ChatGenerationMetadata.builder()
                                    .finishReason(reason)
                                    .build()))
                    : List.of();
            return new ChatResponse(generations, metadata.build());
        }
    }

    @Provide
    Arbitrary<List<Piece>> answers() {
        Piece alike = new Piece("id-1", "model", true, null, -1);
        Arbitrary<Piece> others = Combinators.combine(
                        Arbitraries.of("id-1", "id-1", "id-2", ""),
                        Arbitraries.of("model", "model", "other", ""),
                        Arbitraries.of(true, true, true, false),
                        Arbitraries.of("", "stop").injectNull(0.6),
                        Arbitraries.integers().between(-2, CARRIED.size() - 1))
                .as(Piece::new);
        return Arbitraries.frequencyOf(Tuple.of(1, Arbitraries.just(alike)), Tuple.of(2, others))
                .list()
                .ofMaxSize(12);
    }

    @Property(tries = 5_000)
    @Label("what is left out as more of the same, or read late, makes no difference")
    void leavingOut(@ForAll("answers") List<Piece> answer, @ForAll boolean isKnown, @ForAll boolean runsTools) {
        Class<?> client = isKnown ? OpenAiApi.class : null;
        ChunkFold all = new ChunkFold(runsTools, client);
        ChunkFold some = new ChunkFold(runsTools, client);
        for (Piece piece : answer) {
            all.add(piece.chunk(false));
            ChatResponse chunk = piece.chunk(true);
            if (!some.isMoreOfTheSame(chunk)) {
                some.add(chunk);
            }
        }

        assertThat(some.fold(true)).isEqualTo(all.fold(true));
        assertThat(some.fold(false)).isEqualTo(all.fold(false));
        assertThat(some.isFinished()).isEqualTo(all.isFinished());
        assertThat(some.isWholeIfItEnds()).isEqualTo(all.isWholeIfItEnds());
        assertThat(some.responseId()).isEqualTo(all.responseId());
        assertThat(some.lastFigure()).isEqualTo(all.lastFigure());
        assertThat(some.lastUsage() == null).isEqualTo(all.lastUsage() == null);
    }

    @Property(tries = 1)
    @Label("most of an answer need not be added")
    void mostIsLeftOut() {
        ChunkFold fold = new ChunkFold(null, null);
        List<Boolean> leftOut = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            ChatResponse chunk = new Piece("id-1", "model", true, null, -1).chunk(true);
            boolean more = fold.isMoreOfTheSame(chunk);
            leftOut.add(more);
            if (!more) {
                fold.add(chunk);
            }
        }

        assertThat(leftOut).containsExactly(false, false, true, true, true);
    }
}
