package io.millrace.testing;

import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A key namespace of a test: {@code QueueIT-x7f3q1} for the class (static fields, constructors, {@code @BeforeAll}) and
 * {@code QueueIT-x7f3q1-3} for one test method (its parameters, and instance fields while it runs). All keys that begin
 * with the class's namespace are removed after the class.
 *
 * @param value letters, digits and dashes
 */
public record TestNamespace(String value) {

    /** {@code value:name}. */
    public String key(String name) {
        return value + ":" + name;
    }

    @Override
    public String toString() {
        return value;
    }

    /** A class's namespace, and the counter its methods' namespaces are made with. */
    static final class Family {

        private final TestNamespace whole;
        private final AtomicInteger counter = new AtomicInteger();

        Family(Class<?> test) {
            int random = ThreadLocalRandom.current().nextInt(36 * 36 * 36 * 36);
            String name = test.getSimpleName().replaceAll("[^A-Za-z0-9]", "");
            this.whole = new TestNamespace(name + "-" + Integer.toString(random, 36));
        }

        TestNamespace whole() {
            return whole;
        }

        TestNamespace next() {
            return new TestNamespace(whole.value + "-" + counter.incrementAndGet());
        }
    }
}
