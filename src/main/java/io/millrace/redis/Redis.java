package io.millrace.redis;

import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.RedisCommandTimeoutException;
import io.lettuce.core.cluster.api.reactive.RedisClusterReactiveCommands;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * One Redis, shared by all parts of a Millrace: scripts and commands over one connection, dedicated connections for reads that
 * block, one for publish and subscribe. Nothing is connected before it is needed.
 *
 * <p>While Redis is away, calls fail at once with {@link io.millrace.RedisUnavailableException}; the connection comes back by itself
 * within half a second of Redis. Answers arrive on {@link #worker()}, or where {@link RedisSettings.Builder#answersOn} says. Thread safe.
 */
public final class Redis {

    /** How often a script that may run twice is sent again when its answer was lost. */
    static final int REPEATS = 4;

    private static final long FIRST_PAUSE_MS = 40;

    /** While a slot moves; a server that refuses for that reason has next to nothing to do for it. */
    private static final long MOVING_PAUSE_MS = 80;

    /** How long closing waits for scripts under way, and for what they bring to be given back. */
    private static final Duration LAST_WORDS = Duration.ofSeconds(1);

    private final Mono<Driver> driver;
    private volatile @Nullable Driver opened;
    private final Keys keys;
    private final Scheduler worker;
    private final Scheduler answers;
    private final Mono<Driver.Connection> connecting;
    private volatile Driver.@Nullable Connection connection;
    private final PubSub pubSub;
    private final ServerClock clock;
    private final Disposable clockwork;
    private final Sinks.Empty<Void> closed = Sinks.empty();
    private final UnderWay underWay = new UnderWay();
    private final boolean cluster;
    private final Duration timeout;

    private Redis(
            Mono<Driver> driver,
            boolean cluster,
            String namespace,
            Duration timeout,
            @Nullable Scheduler answersOn,
            boolean onTrial) {
        this.timeout = timeout;
        this.driver = Once.of(() -> driver.doOnNext(open -> opened = open));
        this.keys = new Keys(namespace);
        this.cluster = cluster;
        this.worker = Schedulers.newParallel(
                "millrace", Math.max(2, Runtime.getRuntime().availableProcessors()), true);
        this.answers = answersOn == null ? worker : answersOn;
        this.connecting = Once.of(() -> this.driver.flatMap(Driver::connect).doOnNext(open -> connection = open));
        this.pubSub = new PubSub(() -> this.driver.flatMap(Driver::connectPubSub), worker);
        this.clock = new ServerClock();
        StartCheck check = new StartCheck();
        Mono<Void> checked = onTrial ? Mono.empty() : check.once(call("INFO"));
        this.clockwork =
                clock.follow(Mono.defer(() -> connection == null ? Mono.empty() : checked.then(call("TIME"))), worker);
    }

    /** A client of our own for these settings; no connection is made yet. */
    public static Redis open(RedisSettings settings) {
        Mono<Driver> driver = Mono.fromSupplier(() -> Driver.open(settings));
        return new Redis(
                settings.isTls() ? driver.subscribeOn(Schedulers.boundedElastic()) : driver, // reads certificates
                settings.topology() == RedisSettings.Topology.CLUSTER,
                settings.namespace(),
                settings.commandTimeout(),
                settings.answersOn(),
                false);
    }

    /**
     * As {@link #open}, for a single server whose address is known only once it is needed: it is started then, for trials.
     *
     * @param settings is subscribed to once, with the first command
     */
    public static Redis openLater(Mono<RedisSettings> settings, String namespace) {
        return new Redis(
                settings.map(Driver::open), false, namespace, RedisSettings.DEFAULT_COMMAND_TIMEOUT, null, true);
    }

    /**
     * Uses a client that somebody else made and will close. Its options apply; see the README for those that matter.
     *
     * @param client a {@code RedisClient} with a default address, or a {@code RedisClusterClient}
     */
    public static Redis with(AbstractRedisClient client, String namespace, Duration commandTimeout) {
        Driver driver = Driver.with(client, commandTimeout);
        return new Redis(Mono.just(driver), driver.isCluster(), namespace, commandTimeout, null, false);
    }

    /** The names of keys and channels. */
    public Keys keys() {
        return keys;
    }

    /** Whether keys are spread over several masters, so that a script can only see one unit. */
    public boolean isCluster() {
        return cluster;
    }

    /** Where timers run, and answers arrive unless another scheduler was named for them; not for work that blocks. */
    public Scheduler worker() {
        return worker;
    }

    /** What time the server has, as far as is known here. For display only; what matters is decided inside scripts. */
    public ServerClock clock() {
        return clock;
    }

    /** What is published. */
    public PubSub pubSub() {
        return pubSub;
    }

    /**
     * Runs a script. Cold: each subscription runs it once, or again if its answer was lost and it may be repeated.
     *
     * @param keys its KEYS, all in one slot; in a cluster a unit's prefix alone gets a second one, see {@link Keys#guarded}
     * @param args its ARGV
     */
    public <T> Mono<T> run(LuaScript<T> script, List<byte[]> keys, List<byte[]> args) {
        List<byte[]> all = cluster ? Keys.guarded(keys) : keys;
        return counted(() -> attempt(script, all, args, 0, System.nanoTime(), false));
    }

    /**
     * Runs a script once, as it is sent: neither tried again by itself nor sent as a whole when the server does not know it. So it never
     * runs behind what was sent after it, but for a cluster, which may redirect it. Cold; on an error the caller may {@link #run} it.
     *
     * @param keys its KEYS, all in one slot, as for {@link #run}
     * @param args its ARGV
     */
    public <T> Mono<T> runInTurn(LuaScript<T> script, List<byte[]> keys, List<byte[]> args) {
        List<byte[]> all = cluster ? Keys.guarded(keys) : keys;
        return counted(() -> connected()
                .flatMap(commands -> Commands.evalKnown(commands, script, all, args))
                .map(answer -> script.decode(Reply.of(answer), false))
                .onErrorMap(RedisErrors::translate));
    }

    /** Until whoever asked has dealt with the answer: what he does not want any more he gives back then, which is another call. */
    private <T> Mono<T> counted(Supplier<Mono<T>> call) {
        return Mono.defer(() -> {
            Mono<T> answer = answered(call.get());
            underWay.begins(); // once nothing is left that could fail before it is sent
            return answer.doFinally(end -> underWay.ends());
        });
    }

    /**
     * Tries again for as long as one command may take: a call never takes longer than twice that. Not Reactor's retryWhen: it would
     * cost every successful call more than the call itself.
     *
     * @param sent whether an earlier try went out, so that its effect is not known even if this one is not sent at all
     */
    private <T> Mono<T> attempt(
            LuaScript<T> script, List<byte[]> keys, List<byte[]> args, int repeats, long began, boolean sent) {
        return connected()
                .flatMap(commands -> Commands.eval(commands, script, keys, args))
                .map(answer -> script.decode(Reply.of(answer), sent))
                .onErrorResume(error -> {
                    boolean moving = RedisErrors.isMoving(error);
                    boolean again = (moving || repeats < REPEATS)
                            && passes(error)
                            && (script.isRepeatable() || RedisErrors.hasNotRun(error))
                            && System.nanoTime() - began < timeout.toNanos();
                    if (!again) {
                        return Mono.error(RedisErrors.translate(error, sent));
                    }
                    boolean out = sent || RedisErrors.isLostAnswer(error);
                    return Mono.delay(moving ? halfRandom(MOVING_PAUSE_MS) : pauseBefore(repeats + 1), worker)
                            .then(attempt(script, keys, args, moving ? repeats : repeats + 1, began, out));
                });
    }

    /** Whether an error passes when the same is tried again; does what helps it to. */
    private boolean passes(Throwable error) {
        heal(error);
        // A cluster's node that is still being connected to refuses; a single server that does so is away.
        return RedisErrors.recovery(error) != RedisErrors.Recovery.FAIL || (cluster && RedisErrors.isRejected(error));
    }

    private void heal(Throwable error) {
        Driver open = opened;
        if (open != null && RedisErrors.code(error).equals("READONLY")) {
            open.reconnect(); // to a master that became a replica
        }
        if (open != null && error instanceof RedisCommandTimeoutException) {
            open.lookAgain(); // another one may be master by now, which nobody tells who waits for the old one
        }
    }

    /** Doubled each time, half of it random. */
    private static Duration pauseBefore(int repeat) {
        return halfRandom(FIRST_PAUSE_MS << (repeat - 1));
    }

    private static Duration halfRandom(long ms) {
        return Duration.ofMillis(ms / 2 + ThreadLocalRandom.current().nextLong(ms / 2 + 1));
    }

    /**
     * Runs one command that does not block.
     *
     * @param name such as {@code TIME} or {@code CONFIG}
     * @param args further words; strings, bytes or numbers
     * @return bytes, a {@link Long}, or a list of those; empty for null
     */
    public Mono<Object> call(String name, Object... args) {
        return answered(connected()
                .flatMap(commands -> Commands.dispatch(commands, Commands.keyword(name), Commands.arguments(args)))
                .onErrorMap(RedisErrors::translate));
    }

    private <T> Mono<T> answered(Mono<T> answer) {
        return answers == Schedulers.immediate() ? answer : answer.publishOn(answers);
    }

    /**
     * Hands on where answers arrive what may have arrived already: on a scheduler that was named for them, not on the thread that
     * happens to ask for it. With none named, or the event loop, that thread has it.
     */
    public <T> Mono<T> whereAnswersArrive(Mono<T> answer) {
        return answers == Schedulers.immediate() || answers == worker ? answer : answer.publishOn(answers);
    }

    /**
     * A connection of one's own for reads that block: nobody else waits behind them. One that is still being made when its caller
     * cancels is closed as soon as it is there; who has got one closes it.
     *
     * @param longestBlock how long one read may block at the most; up to 5 s
     */
    public Mono<BlockingReader> dedicated(Duration longestBlock) {
        if (longestBlock.compareTo(DeadConnectionGuard.LONGEST_BLOCK) > 0) {
            throw new IllegalArgumentException("a read may block for " + DeadConnectionGuard.LONGEST_BLOCK.toSeconds()
                    + " s at the most, was " + longestBlock);
        }
        Mono<BlockingReader> connecting = driver.flatMap(open -> open.connect(longestBlock.plusSeconds(2)))
                .<BlockingReader>map(open -> new BlockingReader(open, worker, this::heal))
                .onErrorMap(RedisErrors::translate);
        return Detached.run(connecting, BlockingReader::abandon);
    }

    /** Ends when this is closed: loops end with it. */
    public Mono<Void> closed() {
        return closed.asMono();
    }

    /** Closes what was opened here, once scripts under way have answers; after a second they fail, as other calls do at once. */
    public Mono<Void> close() {
        return Mono.defer(() -> {
                    clockwork.dispose();
                    closed.tryEmitEmpty();
                    return underWay.none().timeout(LAST_WORDS, worker);
                })
                .onErrorComplete() // no answers within that time, or closed already
                .then(Mono.defer(() -> {
                    Driver open = opened;
                    return open == null ? Mono.<Void>empty() : open.close();
                }))
                .publishOn(
                        Schedulers.boundedElastic()) // ending the worker takes a lock, and the driver ends on a Netty
                // thread
                .doFinally(end -> worker.dispose());
    }

    private Mono<RedisClusterReactiveCommands<byte[], byte[]>> connected() {
        Driver.Connection open = connection;
        return open != null ? Mono.just(open.commands()) : connecting.map(Driver.Connection::commands);
    }
}
