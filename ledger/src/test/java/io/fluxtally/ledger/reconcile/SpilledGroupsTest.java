package io.fluxtally.ledger.reconcile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.ledger.LedgerException;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("Groups of entries that do not fit into memory")
class SpilledGroupsTest {

    static final SpilledGroups.Codec<Integer> INTEGERS = new SpilledGroups.Codec<>() {
        @Override
        public void write(Integer entry, DataOutput out) throws IOException {
            out.writeInt(entry);
        }

        @Override
        public Integer read(DataInput in) throws IOException {
            return in.readInt();
        }
    };

    @TempDir
    private Path folder;

    static Map<String, List<Integer>> groups(SpilledGroups<Integer> spilled) {
        Map<String, List<Integer>> groups = new HashMap<>();
        spilled.<List<Integer>>forEachGroup(
                ArrayList::new,
                List::add,
                (key, group) -> assertThat(groups.put(key, group)).isNull());
        return groups;
    }

    @Test
    @DisplayName("go through files that only the owner can read, and that are gone afterwards, with the folder of them")
    void files() throws IOException {
        try (SpillDirectory directory = new SpillDirectory(folder)) {
            SpilledGroups<Integer> spilled = new SpilledGroups<>(directory, INTEGERS, 1_000);
            for (int i = 0; i < 100_000; i++) {
                spilled.add("key-" + i % 20_000, i);
            }

            List<Path> there = tree();
            assertThat(there).hasSizeGreaterThan(100);
            Assumptions.assumeTrue(
                    folder.getFileSystem().supportedFileAttributeViews().contains("posix"));
            for (Path path : there) {
                assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                        .isEqualTo(Files.isDirectory(path) ? "rwx------" : "rw-------");
            }
            Map<String, List<Integer>> groups = groups(spilled);
            assertThat(groups)
                    .hasSize(20_000)
                    .allSatisfy((key, group) -> assertThat(group).hasSize(5));
            assertThat(groups.get("key-7")).containsExactly(7, 20_007, 40_007, 60_007, 80_007);
            assertThat(tree()).hasSize(1);
        }
        assertThat(tree()).isEmpty();
    }

    @Test
    @DisplayName("have few keys in memory at a time, however many there are")
    void fewAtATime() throws IOException {
        try (SpillDirectory directory = new SpillDirectory(folder)) {
            SpilledGroups<Integer> spilled = new SpilledGroups<>(directory, INTEGERS, 50);
            for (int i = 0; i < 100_000; i++) {
                spilled.add("key-" + i, i);
            }
            AtomicInteger open = new AtomicInteger();
            AtomicInteger most = new AtomicInteger();
            AtomicInteger done = new AtomicInteger();
            // What was begun for a partition that is parted again is let go of, and begun anew.
            spilled.<int[]>forEachGroup(
                    () -> {
                        most.accumulateAndGet(open.incrementAndGet(), Math::max);
                        return new int[1];
                    },
                    (group, entry) -> group[0]++,
                    (key, group) -> {
                        open.set(0);
                        done.incrementAndGet();
                    });

            assertThat(done).hasValue(100_000);
            assertThat(most.get()).isLessThanOrEqualTo(2 * 51);
        }
    }

    @Test
    @DisplayName("touch no disk for what fits into memory")
    void small() throws IOException {
        try (SpillDirectory directory = new SpillDirectory(folder)) {
            SpilledGroups<Integer> spilled = new SpilledGroups<>(directory, INTEGERS, 10);
            spilled.add("a", 1);
            spilled.add("b", 2);
            spilled.add("a", 3);

            assertThat(tree()).isEmpty();
            assertThat(groups(spilled)).isEqualTo(Map.of("a", List.of(1, 3), "b", List.of(2)));
            assertThat(groups(spilled)).isEmpty();
        }
    }

    @Test
    @DisplayName("tell any two keys apart, also those with half a surrogate pair")
    void anyKey() throws IOException {
        try (SpillDirectory directory = new SpillDirectory(folder)) {
            SpilledGroups<Integer> spilled = new SpilledGroups<>(directory, INTEGERS, 10);
            Map<String, List<Integer>> expected = new LinkedHashMap<>();
            List<String> keys = List.of("", "\ud83d", "\ud83e", "?", "\ufffd", "日本", "\u0000", "a".repeat(200_000));
            for (int i = 0; i < keys.size(); i++) {
                spilled.add(keys.get(i), i);
                expected.put(keys.get(i), List.of(i));
            }

            assertThat(groups(spilled)).isEqualTo(expected);
        }
    }

    @Test
    @DisplayName("fail with the reason where files cannot be written")
    void unwritable() throws IOException {
        try (SpillDirectory directory = new SpillDirectory(folder.resolve("nowhere"))) {
            SpilledGroups<Integer> spilled = new SpilledGroups<>(directory, INTEGERS, 10);

            assertThatThrownBy(() -> {
                        for (int i = 0; i < 100_000; i++) {
                            spilled.add("one key", i);
                        }
                    })
                    .isInstanceOf(LedgerException.class)
                    .hasMessageContaining("nowhere");
        }
    }

    private List<Path> tree() throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(file -> !file.equals(folder)).toList();
        }
    }
}
