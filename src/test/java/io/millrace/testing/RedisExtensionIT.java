package io.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.ClassOrderer;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestClassOrder;

@RedisTest
@TestClassOrder(ClassOrderer.OrderAnnotation.class)
class RedisExtensionIT {

    private static final Set<String> SEEN = new HashSet<>();
    private static String written = "";
    static TestNamespace ofClass;
    static RedisServer shared;

    @Namespace
    String field;

    TestNamespace typed;

    @BeforeAll
    static void fillsStaticFieldsFirst(RedisServer parameter, @Namespace String namespace) {
        assertThat(parameter).isSameAs(shared);
        assertThat(namespace).isEqualTo(ofClass.value());
    }

    @RepeatedTest(2)
    void everyMethodHasANamespaceOfItsOwnBelowItsClass(@Namespace String parameter) {
        assertThat(parameter).isEqualTo(field).isEqualTo(typed.value()).startsWith(ofClass + "-");
        assertThat(SEEN.add(parameter)).isTrue();
    }

    @Nested
    @Order(1)
    class Writer {

        @Test
        void writes(RedisServer redis, TestNamespace namespace) {
            assertThat(redis).isSameAs(shared);
            assertThat(namespace.value()).startsWith("Writer-");
            written = namespace.key("queue:{a/0}:x");
            RedisAdmin.ask(redis.uri(), commands -> commands.set(written, "1"));
            RedisAdmin.ask(redis.uri(), commands -> commands.set(foreign(written), "1"));
            assertThat(RedisAdmin.<Long>ask(redis.uri(), commands -> commands.exists(written)))
                    .isOne();
        }
    }

    @Nested
    @Order(2)
    class AfterWriter {

        @Test
        void findsWhatIsForeignToTheWriterOnly() {
            assertThat(RedisAdmin.<Long>ask(shared.uri(), commands -> commands.exists(written)))
                    .isZero();
            assertThat(RedisAdmin.<Long>ask(shared.uri(), commands -> commands.del(foreign(written))))
                    .isOne();
        }
    }

    private static String foreign(String key) {
        return "not-" + key;
    }
}
