/**
 * Millrace, a reactive event platform on Redis: the facade and the words every other package shares.
 */
@NullMarked
package io.millrace;

import org.jspecify.annotations.NullMarked;
