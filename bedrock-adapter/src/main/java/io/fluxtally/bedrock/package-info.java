/**
 * The edge to Amazon Bedrock: a wire tap for the AWS SDK, which sends over neither a {@code WebClient} nor a
 * {@code RestClient}.
 */
@NullMarked
package io.fluxtally.bedrock;

import org.jspecify.annotations.NullMarked;
