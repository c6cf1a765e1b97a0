package io.fluxtally.ledger.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.constraints.StringLength;

@Label("Groups of any entries")
class SpilledGroupsPropertyTest {

    @Property(tries = 200)
    @Label("are those that a map would make, with few keys in memory at a time")
    void sameAsMap(
            @ForAll @Size(max = 400) List<@StringLength(max = 3) String> keys,
            @ForAll @IntRange(min = 1, max = 8) int maxKeys) {
        Map<String, List<Integer>> expected = new HashMap<>();
        try (SpillDirectory directory = new SpillDirectory(Path.of(System.getProperty("java.io.tmpdir")))) {
            SpilledGroups<Integer> spilled = new SpilledGroups<>(directory, SpilledGroupsTest.INTEGERS, maxKeys);
            for (int i = 0; i < keys.size(); i++) {
                spilled.add(keys.get(i), i);
                expected.computeIfAbsent(keys.get(i), key -> new ArrayList<>()).add(i);
            }

            assertThat(SpilledGroupsTest.groups(spilled)).isEqualTo(expected);
        }
    }
}
