package io.fluxtally.ledger;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.LocalDate;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The names of the files of a ledger, their order, and their modes. */
final class LedgerFiles {

    private static final Pattern NAME = Pattern.compile("usage-(\\d{4}-\\d{2}-\\d{2})-(\\d{4,9})\\.jsonl");

    private LedgerFiles() {}

    /** A file of a ledger. Files are in the order in which they were written. */
    record DatedFile(Path path, LocalDate date, int sequence) implements Comparable<DatedFile> {

        static DatedFile in(Path directory, LocalDate date, int sequence) {
            return new DatedFile(directory.resolve("usage-%s-%04d.jsonl".formatted(date, sequence)), date, sequence);
        }

        @Override
        public int compareTo(DatedFile other) {
            int byDate = date.compareTo(other.date);
            return byDate != 0 ? byDate : Integer.compare(sequence, other.sequence);
        }
    }

    /** The files of a ledger, the oldest first; none if there is no such directory. */
    static List<DatedFile> in(Path directory) throws IOException {
        List<DatedFile> files = new ArrayList<>();
        try (Stream<Path> entries = Files.list(directory)) {
            entries.forEach(path -> {
                Matcher name = NAME.matcher(String.valueOf(path.getFileName()));
                if (name.matches()) {
                    add(files, path, name);
                }
            });
        } catch (NoSuchFileException none) {
            return files;
        } catch (NotDirectoryException aFile) {
            throw new IOException("it is not a directory", aFile);
        }
        Collections.sort(files);
        return files;
    }

    private static void add(List<DatedFile> files, Path path, Matcher name) {
        try {
            files.add(new DatedFile(path, LocalDate.parse(name.group(1)), Integer.parseInt(name.group(2))));
        } catch (DateTimeParseException noSuchDay) {
            // Not a name that a ledger gives.
        }
    }

    /** Makes a directory that only its owner can look into, unless it is there. */
    static void makeDirectory(Path directory) throws IOException {
        Path parent = directory.toAbsolutePath().getParent();
        if (parent != null) {
            Files.createDirectories(parent);
        }
        try {
            Files.createDirectory(directory, mode(directory.getFileSystem(), "rwx------"));
        } catch (FileAlreadyExistsException there) {
            if (!Files.isDirectory(directory)) {
                throw there;
            }
        }
    }

    /** Opens a file for writing, made so that only its owner can read it. */
    static FileChannel openForWriting(Path file, Set<OpenOption> how) throws IOException {
        return FileChannel.open(file, how, mode(file.getFileSystem(), "rw-------"));
    }

    private static FileAttribute<?>[] mode(FileSystem system, String mode) {
        return system.supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(mode))}
                : new FileAttribute<?>[0];
    }

    /** Where the last lines of a file begin, or 0 if it has no more of them. */
    static long startOfLastLines(Path file, int lines) throws IOException {
        try (RandomAccessFile in = new RandomAccessFile(file.toFile(), "r")) {
            byte[] block = new byte[1 << 16];
            int found = 0;
            for (long end = in.length(); end > 0; ) {
                long start = Math.max(0, end - block.length);
                in.seek(start);
                in.readFully(block, 0, (int) (end - start));
                for (int i = (int) (end - start) - 1; i >= 0; i--) {
                    if (block[i] == '\n' && found++ == lines) {
                        return start + i + 1;
                    }
                }
                end = start;
            }
            return 0;
        }
    }

    /** Lets what was made or renamed in a directory outlast a crash of the machine, where the system can. */
    static void forceDirectory(Path directory) {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException cannot) {
            // Windows has no such thing; elsewhere the file's own force has been told of what matters.
        }
    }
}
