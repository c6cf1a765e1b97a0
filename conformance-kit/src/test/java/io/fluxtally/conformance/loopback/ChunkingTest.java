package io.fluxtally.conformance.loopback;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChunkingTest {

    @ParameterizedTest
    @ValueSource(strings = {"\n", "\r\n", "\r"})
    void anEventEndsWithItsBlankLineWhateverTheLineEnd(String eol) {
        String body = "data: 1" + eol + "id: 1" + eol + eol + "data: 2" + eol + eol;

        assertThat(cut(Chunking.byEvent(), body))
                .containsExactly("data: 1" + eol + "id: 1" + eol + eol, "data: 2" + eol + eol);
    }

    @Test
    void whatFollowsTheLastBlankLineIsAPieceToo() {
        assertThat(cut(Chunking.byEvent(), "data: 1\n\ndata: 2\n")).containsExactly("data: 1\n\n", "data: 2\n");
        assertThat(cut(Chunking.byEvent(), "data: 1\n\ndata: 2")).containsExactly("data: 1\n\n", "data: 2");
    }

    @Test
    void furtherBlankLinesStayWithTheEventBeforeThem() {
        assertThat(cut(Chunking.byEvent(), "\n\ndata: 1\n\n\n\ndata: 2\n\n"))
                .containsExactly("\n\n", "data: 1\n\n\n\n", "data: 2\n\n");
    }

    @Test
    void aBodyWithoutABlankLineIsOneEvent() {
        assertThat(cut(Chunking.byEvent(), "data: 1\ndata: 2\n")).containsExactly("data: 1\ndata: 2\n");
        assertThat(cut(Chunking.byEvent(), "\r\ndata: 1")).containsExactly("\r\ndata: 1");
        assertThat(cut(Chunking.byEvent(), "")).isEmpty();
    }

    @Test
    void aBodyIsCutAtEveryNBytesEvenInMidCharacter() {
        List<byte[]> pieces = Chunking.everyBytes(2).cut("多云!".getBytes(StandardCharsets.UTF_8));

        assertThat(pieces).extracting(piece -> piece.length).containsExactly(2, 2, 2, 1);
    }

    @Test
    void aBodyIsCutBeforeTheGivenBytesAndNowhereElse() {
        assertThat(cut(Chunking.atOffsets(5, 2, 2, 0, 99), "abcdefg")).containsExactly("ab", "cde", "fg");
        assertThat(cut(Chunking.atOffsets(), "abc")).containsExactly("abc");
        assertThat(cut(Chunking.atOffsets(3), "abc")).containsExactly("abc");
        assertThat(cut(Chunking.whole(), "a\n\nb")).containsExactly("a\n\nb");
    }

    @Test
    void sizesAndOffsetsThatCutNothingAreRefused() {
        assertThatThrownBy(() -> Chunking.everyBytes(0)).hasMessage("size must be 1 byte or more, but is 0");
        assertThatThrownBy(() -> Chunking.atOffsets(1, -2)).hasMessage("an offset must be 0 or more, but is -2");
    }

    private static List<String> cut(Chunking chunking, String body) {
        return chunking.cut(body.getBytes(StandardCharsets.UTF_8)).stream()
                .map(piece -> new String(piece, StandardCharsets.UTF_8))
                .toList();
    }
}
