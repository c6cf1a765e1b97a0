package io.fluxtally.benchmarks;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * Where a result was made, by that machine's own account.
 *
 * @param processor the processor's name, or its architecture where the system does not say
 * @param processors how many of them this JVM may use
 * @param memory the memory, in GiB
 * @param system the operating system
 * @param jvm the Java virtual machine
 */
public record Machine(String processor, int processors, long memory, String system, String jvm) {

    private static final Path CPUINFO = Path.of("/proc/cpuinfo");

    /** This machine. */
    public static Machine thisOne() {
        return new Machine(
                processorName(),
                Runtime.getRuntime().availableProcessors(),
                memoryBytes() >> 30,
                System.getProperty("os.name"),
                "%s %s".formatted(System.getProperty("java.vm.name"), System.getProperty("java.vm.version")));
    }

    private static String processorName() {
        if (Files.isReadable(CPUINFO)) {
            try (Stream<String> lines = Files.lines(CPUINFO)) {
                return lines.filter(line -> line.startsWith("model name"))
                        .map(line -> line.substring(line.indexOf(':') + 1).strip())
                        .findFirst()
                        .orElseGet(Machine::architecture);
            } catch (IOException unreadable) {
                return architecture();
            }
        }
        return architecture();
    }

    private static String architecture() {
        return System.getProperty("os.arch");
    }

    private static long memoryBytes() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean system
                ? system.getTotalMemorySize()
                : 0;
    }
}
