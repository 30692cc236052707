package io.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Method;
import java.util.Arrays;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class BlockHoundExtensionTest {

    @Test
    @DisplayName("every exception is of a method that this Lettuce has: another version may name them otherwise")
    void namesAreKnown() {
        BlockHoundExtension.BRIEF_LOCKS.forEach(
                (type, methods) -> assertThat(methods(type)).as(type).containsAll(methods));
    }

    private static Iterable<String> methods(String type) {
        try {
            return Arrays.stream(Class.forName(type).getDeclaredMethods())
                    .map(Method::getName)
                    .toList();
        } catch (ClassNotFoundException e) {
            throw new AssertionError(type + " is not there", e);
        }
    }
}
