/** The wire tap in every HTTP client that Boot builds. */
@NullMarked
package io.fluxtally.boot.http;

import org.jspecify.annotations.NullMarked;
