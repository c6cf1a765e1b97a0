package io.fluxtally.ledger.jdbc;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;
import org.mariadb.jdbc.MariaDbDataSource;

/** With the server that the machine has installed, in a directory of its own, on the loopback interface. */
@DisplayName("a ledger in MariaDB")
class MariaDbLedgerTest extends JdbcLedgerContract {

    @TempDir
    static Path directory;

    private static Process server;
    private static DataSource database;

    @BeforeAll
    static void start() throws IOException, InterruptedException, SQLException {
        Path daemon = installed("mariadbd");
        Path installer = installed("mariadb-install-db");
        assumeTrue(daemon != null && installer != null, "MariaDB is not installed here (package mariadb-server)");
        Path data = directory.resolve("data");
        List<String> user = System.getProperty("user.name").equals("root") ? List.of("--user=root") : List.of();
        List<String> install = new ArrayList<>(List.of(
                installer.toString(),
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--datadir=" + data));
        install.addAll(user);
        assumeTrue(run(install), "MariaDB could not be set up");
        int port = freePort();
        List<String> command = new ArrayList<>(List.of(
                daemon.toString(),
                "--no-defaults",
                "--datadir=" + data,
                "--socket=" + directory.resolve("s"),
                "--pid-file=" + directory.resolve("pid"),
                "--bind-address=127.0.0.1",
                "--port=" + port,
                "--innodb-buffer-pool-size=32M"));
        command.addAll(user);
        server = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("log").toFile())
                .start();
        MariaDbDataSource source = new MariaDbDataSource("jdbc:mariadb://127.0.0.1:%d/?user=root".formatted(port));
        while (!answers(source)) {
            assumeTrue(server.isAlive(), "MariaDB did not start");
            LockSupport.parkNanos(50_000_000);
        }
        try (Connection connection = source.getConnection()) {
            connection.createStatement().execute("CREATE DATABASE ledger");
        }
        source.setUrl("jdbc:mariadb://127.0.0.1:%d/ledger?user=root".formatted(port));
        database = source;
    }

    private static Path installed(String name) {
        return Stream.of("/usr/sbin", "/usr/bin", "/usr/local/bin")
                .map(path -> Path.of(path, name))
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
    }

    private static boolean run(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        return process.waitFor(60, TimeUnit.SECONDS) && process.exitValue() == 0;
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private static boolean answers(DataSource source) {
        try (Connection connection = source.getConnection()) {
            return connection.isValid(1);
        } catch (SQLException notYet) {
            return false;
        }
    }

    @AfterAll
    static void stop() throws InterruptedException {
        if (server != null) {
            server.destroy();
            server.waitFor();
        }
    }

    @Override
    DataSource database() {
        return database;
    }
}
