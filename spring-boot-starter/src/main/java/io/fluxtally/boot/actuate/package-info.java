/** What the runs have used, as an endpoint of Boot's actuator: as JSON for programs and as pages for people. */
@NullMarked
package io.fluxtally.boot.actuate;

import org.jspecify.annotations.NullMarked;
