package io.millrace.testing;

import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.platform.commons.support.HierarchyTraversalMode;
import org.junit.platform.commons.support.ReflectionSupport;

/** Does what {@link RedisTest} promises. */
final class RedisExtension implements ParameterResolver, BeforeAllCallback, BeforeEachCallback, AfterAllCallback {

    private static final ExtensionContext.Namespace STORE = ExtensionContext.Namespace.create(RedisExtension.class);

    @Override
    public void beforeAll(ExtensionContext context) throws IllegalAccessException {
        fill(context, context.getRequiredTestClass(), null, field -> Modifier.isStatic(field.getModifiers()));
    }

    @Override
    public void beforeEach(ExtensionContext context) throws IllegalAccessException {
        for (Object instance : context.getRequiredTestInstances().getAllInstances()) {
            fill(context, instance.getClass(), instance, field -> !Modifier.isStatic(field.getModifiers()));
        }
    }

    @Override
    public void afterAll(ExtensionContext context) {
        TestNamespace.Family family =
                context.getStore(STORE).get(context.getRequiredTestClass(), TestNamespace.Family.class);
        if (family != null) {
            RedisAdmin.removeKeys(server(context).uri(), family.whole().value());
        }
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return supports(parameter.getParameter().getType(), parameter.getParameter());
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return value(parameter.getParameter().getType(), context);
    }

    private static void fill(
            ExtensionContext context, Class<?> type, @Nullable Object instance, Predicate<Field> wanted)
            throws IllegalAccessException {
        Predicate<Field> ours = field -> supports(field.getType(), field);
        for (Field field : ReflectionSupport.findFields(type, ours.and(wanted), HierarchyTraversalMode.TOP_DOWN)) {
            field.setAccessible(true);
            field.set(instance, value(field.getType(), context));
        }
    }

    private static boolean supports(Class<?> type, AnnotatedElement element) {
        return type == RedisServer.class
                || type == TestNamespace.class
                || (type == String.class && element.isAnnotationPresent(Namespace.class));
    }

    private static Object value(Class<?> type, ExtensionContext context) {
        if (type == RedisServer.class) {
            return server(context);
        }
        TestNamespace namespace = namespace(context);
        return type == String.class ? namespace.value() : namespace;
    }

    /** Held by the root, which closes it when all tests of this JVM have run. */
    private static RedisServer server(ExtensionContext context) {
        return context.getRoot()
                .getStore(STORE)
                .computeIfAbsent(RedisServer.class, key -> announced(), RedisServer.class);
    }

    private static RedisServer announced() {
        RedisServer server = RedisServer.open();
        System.out.println("Tests run on Redis: " + server.describe());
        return server;
    }

    private static TestNamespace namespace(ExtensionContext context) {
        ExtensionContext classContext = context;
        while (classContext.getTestMethod().isPresent()) {
            classContext = classContext.getParent().orElseThrow();
        }
        Class<?> test = context.getRequiredTestClass();
        TestNamespace.Family family = classContext
                .getStore(STORE)
                .computeIfAbsent(test, key -> new TestNamespace.Family(test), TestNamespace.Family.class);
        return classContext == context
                ? family.whole()
                : context.getStore(STORE)
                        .computeIfAbsent(TestNamespace.class, key -> family.next(), TestNamespace.class);
    }
}
