package io.fluxtally.examples.boot;

import org.springframework.ai.tool.annotation.Tool;
import org.springframework.ai.tool.annotation.ToolParam;

/** What the model may ask for. */
final class WeatherTools {

    @Tool(name = "get_weather", description = "Tells the weather in a city.")
    String getWeather(@ToolParam(description = "The city.") String city) {
        return "{\"weather\": \"cloudy\", \"temperature\": 26}";
    }
}
