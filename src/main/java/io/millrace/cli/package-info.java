/**
 * The command line: {@code java -jar millrace.jar}. Commands are thin; what they do lives in the packages they call.
 */
@NullMarked
package io.millrace.cli;

import org.jspecify.annotations.NullMarked;
