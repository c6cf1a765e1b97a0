/** DashScope's own usage type to Fluxtally's and back, and the repair of what its client drops. */
@NullMarked
package io.fluxtally.dashscope;

import org.jspecify.annotations.NullMarked;
