package io.fluxtally.boot.actuate;

import static org.junit.jupiter.api.Assertions.fail;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.logging.Level;
import java.util.stream.Stream;
import org.openqa.selenium.By;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.logging.LogEntry;
import org.openqa.selenium.logging.LoggingPreferences;

/**
 * A Chromium without a window, from the search path, with its driver from there as well: nothing is fetched. Where there is
 * none, the tests are skipped; with {@code -Dfluxtally.browser=required} they fail.
 */
final class Chromium implements AutoCloseable {

    private static final List<String> BROWSERS =
            List.of("chromium", "chromium-browser", "google-chrome", "google-chrome-stable");
    private static final String DRIVER = "chromedriver";
    private static final String NOT_THERE = " must be on the search path for this test, and is not";

    private final ChromeDriver driver;

    private Chromium(ChromeDriver driver) {
        this.driver = driver;
    }

    /** Whether the tests are to run: there is a browser, or there has to be one. */
    static boolean isThereOrRequired() {
        return "required".equals(System.getProperty("fluxtally.browser"))
                || (browser().isPresent() && onPath(DRIVER).isPresent());
    }

    static Chromium start() {
        File browser = browser().orElseGet(() -> fail("one of " + BROWSERS + NOT_THERE));
        File driverFile = onPath(DRIVER).orElseGet(() -> fail(DRIVER + NOT_THERE));
        ChromeOptions options = new ChromeOptions()
                .setBinary(browser)
                .addArguments(
                        "--headless=new",
                        // As root there is no sandbox; the pages are the test's own.
                        "--no-sandbox",
                        "--disable-gpu",
                        "--disable-dev-shm-usage",
                        "--disable-quic",
                        "--no-first-run",
                        "--disable-background-networking",
                        "--disable-component-update",
                        "--disable-sync",
                        "--hide-scrollbars");
        LoggingPreferences logs = new LoggingPreferences();
        logs.enable("performance", Level.ALL);
        logs.enable("browser", Level.ALL);
        options.setCapability("goog:loggingPrefs", logs);
        ChromeDriverService service = new ChromeDriverService.Builder()
                .usingDriverExecutable(driverFile)
                .usingAnyFreePort()
                .build();
        return new Chromium(new ChromeDriver(service, options));
    }

    private static Optional<File> browser() {
        return BROWSERS.stream().flatMap(name -> onPath(name).stream()).findFirst();
    }

    private static Optional<File> onPath(String name) {
        return Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
                .map(folder -> new File(folder, name))
                .filter(file -> file.isFile() && file.canExecute())
                .findFirst();
    }

    /** Opens a page in a window of the given width, as people see it who prefer {@code light} or {@code dark}. */
    void open(String url, int width, String scheme) {
        driver.executeCdpCommand(
                "Emulation.setDeviceMetricsOverride",
                Map.of("width", width, "height", 900, "deviceScaleFactor", 1, "mobile", false));
        driver.executeCdpCommand(
                "Emulation.setEmulatedMedia",
                Map.of("features", List.of(Map.of("name", "prefers-color-scheme", "value", scheme))));
        driver.get(url);
    }

    ChromeDriver driver() {
        return driver;
    }

    String text(String selector) {
        return driver.findElement(By.cssSelector(selector)).getText();
    }

    List<String> texts(String selector) {
        return driver.findElements(By.cssSelector(selector)).stream()
                .map(WebElement::getText)
                .toList();
    }

    /** What a script that is run in the page returns; the page itself has none. */
    <T> T run(Class<T> type, String script) {
        return type.cast(driver.executeScript(script));
    }

    /** What was written to a log since it was read last. */
    List<String> log(String name) {
        return driver.manage().logs().get(name).getAll().stream()
                .map(LogEntry::getMessage)
                .toList();
    }

    /** A picture of the whole page. */
    void screenshot(Path file) {
        Map<String, Object> picture =
                driver.executeCdpCommand("Page.captureScreenshot", Map.of("captureBeyondViewport", true));
        try {
            Files.createDirectories(file.getParent());
            Files.write(file, Base64.getDecoder().decode((String) picture.get("data")));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        driver.quit();
    }
}
