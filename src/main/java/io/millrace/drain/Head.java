package io.millrace.drain;

import org.jspecify.annotations.Nullable;

/** The headers of a request, from whatever server it came through. */
@FunctionalInterface
public interface Head {

    /**
     * The first value of a header.
     *
     * @param name in lower case
     * @return {@code null} if it is not there
     */
    @Nullable
    String get(String name);
}
