/**
 * JSON, in one place: the only package that knows Jackson. {@link io.millrace.json.Json} reads and writes plain values,
 * {@link io.millrace.json.EventCodec} events. Sizes and depths are bounded; nothing is ever read into a type the data name.
 */
@NullMarked
package io.millrace.json;

import org.jspecify.annotations.NullMarked;
