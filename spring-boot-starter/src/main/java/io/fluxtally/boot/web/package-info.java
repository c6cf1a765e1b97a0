/** Runs of HTTP requests that the app answers, and what they use as the browser sees it. */
@NullMarked
package io.fluxtally.boot.web;

import org.jspecify.annotations.NullMarked;
