package io.millrace.testing;

import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import reactor.blockhound.BlockHound;

/**
 * Fails any test in which a non-blocking thread (Reactor's parallel and single schedulers, Netty's and so Lettuce's event
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
            BlockHound.builder()
                    // Reactor, Netty and others mark their threads and name their own exceptions, found by
                    // ServiceLoader.
                    .loadIntegrations()

                    // Lettuce guards the buffer of a connection with a lock that is held for the length of an enqueue.
                    // Reported in there, the error leaves the lock taken and the connection hangs for ever.
                    .allowBlockingCallsInside("io.lettuce.core.protocol.SharedLock", "incrementWriters")
                    .allowBlockingCallsInside("io.lettuce.core.protocol.SharedLock", "doExclusive")

                    // Looks how full its bounded queue is: a lock that is held for a few nanoseconds.
                    .allowBlockingCallsInside("io.lettuce.core.protocol.DefaultEndpoint", "validateWrite")

                    // Netty's allocator grows once or twice in the life of a process, and waits a moment then for a
                    // thread
                    // that takes memory of it. Reported in there, an answer's bytes or a command are lost.
                    .allowBlockingCallsInside("io.netty.buffer.AdaptivePoolingAllocator$Magazine", "free")

                    // Tests log to the console, synchronously and seldom. The server logs through its own settings.
                    .allowBlockingCallsInside("ch.qos.logback.classic.Logger", "callAppenders")

                    // Reads /dev/urandom, which never waits. UUID.randomUUID() and SecureRandom end up here.
                    .allowBlockingCallsInside("sun.security.provider.NativePRNG$RandomIO", "implNextBytes")
                    .install();
        }

        static void once() {}
    }
}
