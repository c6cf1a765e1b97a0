package io.fluxtally.usage.scope;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLConnection;
import java.net.URLStreamHandler;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.Enumeration;
import java.util.List;
import org.slf4j.spi.SLF4JServiceProvider;

/**
 * {@link MeasuringFailures} as in a JVM of its own, with a log that can be read: its counts are static, and so is the
 * choice of a log.
 */
final class IsolatedFailures {

    /** What was logged. The part is the message's argument. */
    record Event(String level, String part, Throwable error) {}

    private final Method report;
    private final Method count;
    private final List<?> events;

    IsolatedFailures() throws ReflectiveOperationException {
        ClassLoader loader = new IsolatingLoader();
        Class<?> isolated = loader.loadClass(MeasuringFailures.class.getName());
        report = isolated.getMethod("report", String.class, Throwable.class);
        count = isolated.getMethod("count");
        events = (List<?>) loader.loadClass(RecordingLog.class.getName())
                .getField("EVENTS")
                .get(null);
    }

    void report(String part, Throwable error) throws ReflectiveOperationException {
        report.invoke(null, part, error);
    }

    long count() throws ReflectiveOperationException {
        return (long) count.invoke(null);
    }

    List<Event> logged() {
        return events.stream()
                .map(Object[].class::cast)
                .map(event -> new Event((String) event[0], (String) event[1], (Throwable) event[2]))
                .toList();
    }

    /** Defines the class under test and SLF4J anew, and gives this SLF4J a log that remembers. */
    private static final class IsolatingLoader extends ClassLoader {

        private static final String SERVICE = "META-INF/services/" + SLF4JServiceProvider.class.getName();

        IsolatingLoader() {
            super(IsolatedFailures.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            boolean isolated = name.startsWith("org.slf4j.")
                    || name.startsWith(MeasuringFailures.class.getName())
                    || name.startsWith(RecordingLog.class.getName());
            if (!isolated) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                return loaded != null ? loaded : define(name);
            }
        }

        private Class<?> define(String name) throws ClassNotFoundException {
            try (InputStream in = getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
                if (in == null) {
                    throw new ClassNotFoundException(name);
                }
                byte[] bytes = in.readAllBytes();
                return defineClass(name, bytes, 0, bytes.length);
            } catch (IOException error) {
                throw new ClassNotFoundException(name, error);
            }
        }

        @Override
        public Enumeration<URL> getResources(String name) throws IOException {
            return name.equals(SERVICE)
                    ? Collections.enumeration(List.of(urlOf(RecordingLog.class.getName())))
                    : super.getResources(name);
        }

        private static URL urlOf(String text) throws IOException {
            return new URL("memory", null, 0, "/", new URLStreamHandler() {
                @Override
                protected URLConnection openConnection(URL url) {
                    return new URLConnection(url) {
                        @Override
                        public void connect() {}

                        @Override
                        public InputStream getInputStream() {
                            return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
                        }
                    };
                }
            });
        }
    }
}
