/** Usage of a {@code ChatModel}: of its blocking response, of its stream of chunks, and the decorator that reads both. */
@NullMarked
package io.fluxtally.usage.chat;

import org.jspecify.annotations.NullMarked;
