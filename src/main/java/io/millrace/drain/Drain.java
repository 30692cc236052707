package io.millrace.drain;

import io.millrace.redis.WakeUp;
import java.util.List;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;

/**
 * Takes batches of change notifications and processes them. What was accepted is safe in Redis; it is processed from there, at least
 * once, whatever crashes or throws in between, by any of the processes that run a drain of this name.
 *
 * <pre>{@code
 * Drain drain = mill.drain().mapping().tokens("demo").siphon("rider_locations", event -> handle(event)).build();
 * drain.batches().subscribe(batch -> batch.events().forEach(event -> ...));
 * HttpServer.create().port(8080).route(DrainServer.mount(drain, "/events")).bindNow();
 * }</pre>
 *
 * <p>Batches are processed while somebody runs the drain: {@link #batches()} is subscribed to, {@link #run()} is, or {@link #start()}
 * was called; until then they wait in Redis. A drain without any stage or listener keeps them until it has one. A batch that fails is
 * tried again after a growing delay, until it succeeds, and does not hold up the others. Thread safe.
 */
public final class Drain {

    /** {@value}: what a drain and its dirty map are called unless they are named. */
    public static final String DEFAULT_NAME = "default";

    private static final Logger log = LoggerFactory.getLogger(Drain.class);

    private final DrainUnit unit;
    private final Intake intake;
    private final DirtyMap dirtyMap;
    private final LiveListeners live;
    private final Flux<Void> running;

    Drain(
            DrainUnit unit,
            DrainSettings settings,
            Authenticator authenticator,
            List<Pipeline.Step> steps,
            List<Function<? super DrainBatch, ? extends Publisher<?>>> listeners,
            Scheduler scheduler) {
        WakeUp wake = new WakeUp(unit.redis().worker());
        this.unit = unit;
        this.intake = new Intake(authenticator, settings, new Store(unit, settings));
        this.dirtyMap = new DirtyMap(unit);
        this.live = new LiveListeners(scheduler, wake::call);
        Pipeline pipeline = new Pipeline(steps, List.copyOf(listeners), live, scheduler, settings.maxEvents());
        this.running = Mono.defer(() -> new Processing(unit, settings, pipeline, wake).loop())
                .flux()
                .publish()
                .refCount();
    }

    /** Its name. */
    public String name() {
        return unit.name();
    }

    /** The way in, for whatever server batches come through. */
    public Intake intake() {
        return intake;
    }

    /** Its dirty map; empty without {@code mapping()} or {@code caching()}. */
    public DirtyMap dirtyMap() {
        return dirtyMap;
    }

    /**
     * Batches that have passed all stages, with at least one event; and runs the drain while subscribed to. Every subscriber gets every
     * batch that this process processes, as it asks for them; the slowest one decides how fast it goes.
     *
     * <p>A batch counts as handled when {@code onNext} has returned: what is done on other threads after that is the subscriber's to
     * keep from being lost; {@link DrainBuilder#listen} waits for it. A subscriber that throws, or cancels over a batch, has it
     * processed again. Called on the drain's scheduler. Ends as {@link #run()} does.
     */
    public Flux<DrainBatch> batches() {
        return Flux.defer(() -> {
            Sinks.Empty<Void> there = Sinks.empty(); // the first batch must not be processed before it is listened to
            return live.flux(there::tryEmitEmpty).takeUntilOther(there.asMono().then(run()));
        });
    }

    /**
     * Processes batches until cancelled, which gives back what is under way. Any number of subscribers share one run.
     *
     * @return ends only by an error that trying again does not cure (access denied, for example), or when Redis is closed here
     */
    public Mono<Void> run() {
        return running.then();
    }

    /** As {@link #run()}, until disposed of; a failure is logged. */
    public Disposable start() {
        return run().subscribe(
                        none -> {},
                        error -> log.error("drain \"{}\" has stopped", name(), error),
                        () -> log.debug("drain \"{}\" has ended", name()));
    }

    /** What is stored and dirty now. */
    public Mono<DrainState> state() {
        return unit.state();
    }

    /** Outcomes of authentication as they happen; those that come faster than they are taken are dropped. Never ends. */
    public Flux<Authentication> authentications() {
        return intake.authentications().publishOn(unit.redis().worker());
    }

    @Override
    public String toString() {
        return "Drain[" + name() + "]";
    }
}
