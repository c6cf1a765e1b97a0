package io.fluxtally.boot.ledger;

import io.fluxtally.boot.InvalidSettingException;
import io.fluxtally.ledger.JsonlLedgerStore;
import io.fluxtally.ledger.JsonlOptions;
import io.fluxtally.ledger.LedgerException;
import io.fluxtally.ledger.LedgerOptions;
import io.fluxtally.ledger.LedgerStore;
import io.fluxtally.ledger.OverflowPolicy;
import io.fluxtally.ledger.UsageLedger;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Opens a ledger by its settings, and says which setting it was if that fails. */
final class LedgerOpening {

    private LedgerOpening() {}

    static LedgerStore openFiles(LedgerProperties.Jsonl settings) {
        Path directory = settings.directory();
        if (directory == null) {
            throw new IllegalStateException("the settings must have been checked");
        }
        try {
            return JsonlLedgerStore.open(
                    directory,
                    JsonlOptions.DEFAULTS
                            .withFsync(settings.fsync())
                            .withMaxFileBytes(settings.maxFileSize().toBytes()));
        } catch (LedgerException failure) {
            throw unusable("fluxtally.ledger.jsonl.directory", directory, failure);
        }
    }

    static UsageLedger open(LedgerStore store, LedgerProperties settings) {
        try {
            return UsageLedger.open(store, options(settings));
        } catch (LedgerException failure) {
            store.close();
            throw unusable("fluxtally.ledger.spill.directory", settings.spill().directory(), failure);
        }
    }

    private static LedgerOptions options(LedgerProperties settings) {
        Path spill = settings.spill().directory();
        LedgerOptions options;
        if (spill != null) {
            options = LedgerOptions.spillingTo(spill)
                    .withMaxSpillBytes(settings.spill().maxSize().toBytes());
        } else if (settings.overflow() == OverflowPolicy.BLOCK) {
            options = LedgerOptions.blocking(settings.blockLimit());
        } else {
            options = LedgerOptions.dropping();
        }
        return options.withCapacity(settings.capacity());
    }

    private static InvalidSettingException unusable(
            String property, @Nullable Path directory, LedgerException failure) {
        InvalidSettingException said = new InvalidSettingException(
                property,
                "be a directory that this process can write, and no other does",
                directory + ": " + failure.getMessage());
        said.initCause(failure);
        return said;
    }
}
