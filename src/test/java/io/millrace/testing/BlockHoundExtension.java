package io.millrace.testing;

import java.util.List;
import java.util.Map;
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

    /**
     * Where Lettuce, or a timer of the JDK, takes a lock for as long as it looks something up or puts it down, class to methods. Reported
     * while it waits for one, the error leaves the lock's queue with somebody in it who will never take it, and every later caller waits
     * for ever: connecting, commands of a cluster, or all timers of a scheduler, end for the whole process.
     */
    static final Map<String, List<String>> BRIEF_LOCKS = Map.of(
            "java.util.concurrent.ScheduledThreadPoolExecutor$DelayedWorkQueue",
                    List.of("offer", "remove", "peek", "size", "clear"), // a timer that is set or cancelled
            "io.lettuce.core.internal.AbstractInvocationHandler$MethodTranslator", List.of("of"),
            "io.lettuce.core.cluster.PooledClusterConnectionProvider",
                    List.of(
                            "getReadConnection",
                            "lambda$getReadConnection$5",
                            "lambda$getWriteConnection$1",
                            "resetFastConnectionCache",
                            "setPartitions"),
            "io.lettuce.core.cluster.PooledClusterConnectionProvider$NodeConnectionPostProcessor",
                    List.of("lambda$apply$4"),
            "io.lettuce.core.cluster.models.partitions.Partitions",
                    List.of("addAll", "addPartition", "reload", "updateCache"),
            "io.lettuce.core.cluster.topology.Connections", List.of("addConnection", "doRequest", "isEmpty"),
            "io.lettuce.core.masterreplica.Connections", List.of("onAccept", "isEmpty"),
            "io.lettuce.core.masterreplica.MasterReplicaConnectionProvider", List.of("getReadFrom", "setKnownNodes"),
            "io.lettuce.core.masterreplica.MasterReplicaConnectionProvider$DefaultConnectionFactory",
                    List.of("lambda$apply$0"));

    /** The initialisation of this class is the lock that makes it once per JVM. */
    private static final class Installed {

        static {
            BlockHound.Builder builder = BlockHound.builder();
            BRIEF_LOCKS.forEach(
                    (type, methods) -> methods.forEach(method -> builder.allowBlockingCallsInside(type, method)));
            builder
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
