package io.fluxtally.graph.checkpoint;

import org.junit.jupiter.api.DisplayName;

@DisplayName("a saver in memory")
class InMemoryCheckpointSaverTest extends CheckpointSaverContract {

    private final CheckpointSaver saver = new InMemoryCheckpointSaver();

    @Override
    protected CheckpointSaver saver() {
        return saver;
    }
}
