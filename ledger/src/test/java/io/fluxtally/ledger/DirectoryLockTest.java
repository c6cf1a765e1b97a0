package io.fluxtally.ledger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("a directory that one writer has")
@Timeout(120)
class DirectoryLockTest {

    @TempDir
    Path temporary;

    /** Another process that wants the directory. */
    static final class Other {

        public static void main(String[] directory) {
            try (DirectoryLock lock = DirectoryLock.take(Path.of(directory[0]), "directory")) {
                System.out.println("taken");
            } catch (LedgerException refused) {
                System.out.println("refused");
            }
        }
    }

    private static String takenByOther(Path directory) throws IOException {
        Process other = OtherJvm.start(Other.class, directory.toString());
        return new String(other.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).strip();
    }

    @Test
    @DisplayName("is its own until it is given back, also when others of the same process have asked for it")
    void keepsItsLock() throws IOException {
        Path directory = temporary.resolve("ledger");
        Path sameByAnotherName = directory.resolve("..").resolve("ledger");
        try (DirectoryLock lock = DirectoryLock.take(directory, "directory")) {
            for (Path name : new Path[] {directory, sameByAnotherName}) {
                assertThatThrownBy(() -> DirectoryLock.take(name, "directory"))
                        .isInstanceOf(LedgerException.class)
                        .hasMessageContaining("another has it");
            }
            assertThat(takenByOther(directory)).isEqualTo("refused");
        }
        assertThat(takenByOther(directory)).isEqualTo("taken");
        DirectoryLock.take(sameByAnotherName, "directory").close();
    }
}
