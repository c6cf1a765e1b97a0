package io.fluxtally.examples.boot;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** Answers questions about the weather. */
@SpringBootApplication
public class WeatherApp {

    /** Starts the app. */
    public static void main(String[] args) {
        SpringApplication.run(WeatherApp.class, args);
    }
}
