package io.millrace.testing;

import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import reactor.blockhound.BlockHound;

/**
 * Fails any test in which a non-blocking thread (Reactor's parallel and single schedulers, Netty's and Lettuce's event
 * loops) blocks. Registered for every test through {@code META-INF/services}; the JVM is instrumented once and stays so.
 */
public final class BlockHoundExtension implements BeforeAllCallback {

    @Override
    public void beforeAll(ExtensionContext context) {
        Installed.once();
    }

    /** The initialisation of this class is the lock that makes it once per JVM. */
    private static final class Installed {

        static {
            // Integrations of Reactor, Reactor Netty and Netty are found by ServiceLoader; they mark their threads.
            BlockHound.builder().loadIntegrations().install();
        }

        static void once() {}
    }
}
