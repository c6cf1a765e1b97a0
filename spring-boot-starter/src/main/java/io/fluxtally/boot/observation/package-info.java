/** Usage on observations: those of Spring AI's models, and one of our own around each run. */
@NullMarked
package io.fluxtally.boot.observation;

import org.jspecify.annotations.NullMarked;
