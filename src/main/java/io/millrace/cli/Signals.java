package io.millrace.cli;

import java.lang.reflect.Proxy;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Being told to end. The first SIGTERM or SIGINT asks for an orderly end, the second one ends at once.
 *
 * <p>{@code sun.misc.Signal} is what every JDK has for this; it is called by name, since the compiler warns of it for good. Where it
 * is missing the JVM's own handling stays: it ends at once.
 */
final class Signals {

    private static final int KILLED = 143;

    private Signals() {}

    static void onEnd(Runnable orderly) {
        AtomicBoolean asked = new AtomicBoolean();
        Runnable react = () -> {
            if (asked.compareAndSet(false, true)) {
                orderly.run();
            } else {
                Runtime.getRuntime().halt(KILLED);
            }
        };
        for (String signal : List.of("TERM", "INT")) {
            handle(signal, react);
        }
    }

    private static void handle(String name, Runnable react) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            Object proxy = Proxy.newProxyInstance(
                    Signals.class.getClassLoader(), new Class<?>[] {handler}, (self, method, arguments) -> {
                        return switch (method.getName()) {
                            case "handle" -> {
                                react.run();
                                yield null;
                            }
                            case "hashCode" -> System.identityHashCode(self);
                            case "equals" -> self == arguments[0];
                            default -> "signal handler";
                        };
                    });
            signal.getMethod("handle", signal, handler)
                    .invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
        } catch (ReflectiveOperationException | IllegalArgumentException e) {
            // The JVM was told to keep signals to itself (-Xrs), or has none.
        }
    }
}
