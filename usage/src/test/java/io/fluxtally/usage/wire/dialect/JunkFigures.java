package io.fluxtally.usage.wire.dialect;

import java.util.stream.Stream;

/** JSON values that are no token counts, in a place where one belongs. */
final class JunkFigures {

    private JunkFigures() {}

    /** What counts as if it were not there. */
    static Stream<String> none() {
        return Stream.of(
                "null",
                "-1",
                "1.5",
                "1e99",
                "9223372036854775808",
                "123456789012345678901234567890",
                "\"7\"",
                "\"\"",
                "true",
                "{}",
                "[]",
                "[7]",
                "{\"input_tokens\":7}",
                "9".repeat(2000));
    }

    /** Counts that only a garbled response has, but counts. */
    static Stream<String> huge() {
        return Stream.of("9223372036854774784", "4611686018427387904");
    }
}
