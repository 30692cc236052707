package io.millrace.drain;

import io.millrace.queue.Queues;
import io.millrace.redis.Redis;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * Puts a drain together: one of four prebuilt stacks, stages of one's own before it ({@link #stage} called before the stack is chosen)
 * and behind it, listeners at the end.
 *
 * <pre>
 * basic         siphon · listeners
 * mapping       siphon · filter and dirty map · listeners
 * caching       expire cache · siphon · filter and dirty map · prefetch · listeners
 * cacheBusting  siphon · last of each URL and type · expire cache · listeners
 * </pre>
 *
 * A siphon does nothing for topics it was not given.
 */
public final class DrainBuilder {

    /** How many resources of one batch are expired or prefetched side by side. */
    private static final int SIDE_BY_SIDE = 8;

    private enum Stack {
        BASIC,
        MAPPING,
        CACHING,
        CACHE_BUSTING
    }

    private final Redis redis;
    private final Queues queues;
    private String name = Drain.DEFAULT_NAME;
    private DrainSettings settings = DrainSettings.defaults();
    private @Nullable Stack stack;
    private final List<String> tokens = new ArrayList<>();
    private final List<String> secrets = new ArrayList<>();
    private final List<Pipeline.Step> before = new ArrayList<>();
    private final List<Function<String, Pipeline.Step>> behind = new ArrayList<>(); // they are told the drain's name
    private final Map<String, Function<? super DrainEvent, ? extends Publisher<?>>> siphons = new LinkedHashMap<>();
    private final List<Function<? super DrainBatch, ? extends Publisher<?>>> listeners = new ArrayList<>();
    private @Nullable Function<? super DrainEvent, ? extends Publisher<?>> expire;
    private @Nullable Function<? super String, ? extends Publisher<?>> prefetch;
    private boolean noopIsChange;
    private Scheduler scheduler = Schedulers.boundedElastic();

    /** For the facade. */
    public DrainBuilder(Redis redis, Queues queues) {
        DrainScripts.load(); // now, on the caller's thread: reading resources blocks
        this.redis = redis;
        this.queues = queues;
    }

    /**
     * Its name, which is its dirty map's. Processes with drains of one name share the batches and process them alike, so they are built
     * alike. Defaults to {@value Drain#DEFAULT_NAME}.
     */
    public DrainBuilder name(String name) {
        if (name.isEmpty()) {
            throw new IllegalArgumentException("a drain needs a name; it was empty");
        }
        this.name = name;
        return this;
    }

    /** Bounds and times. */
    public DrainBuilder settings(DrainSettings settings) {
        this.settings = settings;
        return this;
    }

    /** Events as they are, to listeners; so it is when no stack is chosen. */
    public DrainBuilder basic() {
        return stack(Stack.BASIC);
    }

    /** What changed, once: old events are filtered, changed URLs marked dirty. */
    public DrainBuilder mapping() {
        return stack(Stack.MAPPING);
    }

    /** As mapping; besides, resources that changed are dropped from the cache and fetched again. Needs the two hooks of the cache. */
    public DrainBuilder caching() {
        return stack(Stack.CACHING);
    }

    /** Resources that changed are dropped from the cache. Needs {@link #expireCache}. */
    public DrainBuilder cacheBusting() {
        return stack(Stack.CACHE_BUSTING);
    }

    /** Who may send: HTTP Basic with one of these tokens as user. Adds to those given before. */
    public DrainBuilder tokens(String... more) {
        tokens.addAll(List.of(more));
        return this;
    }

    /** As {@link #tokens(String...)}. */
    public DrainBuilder tokens(Collection<String> more) {
        tokens.addAll(more);
        return this;
    }

    /** Who may send: Standard Webhooks signed with one of these secrets, {@code whsec_…}. Give the old and the new one to rotate. */
    public DrainBuilder webhookSecrets(String... more) {
        secrets.addAll(List.of(more));
        return this;
    }

    /** As {@link #webhookSecrets(String...)}. */
    public DrainBuilder webhookSecrets(Collection<String> more) {
        secrets.addAll(more);
        return this;
    }

    /**
     * Takes the events of a topic out and gives them to a handler instead; for topics that change too often for the rest. A batch is
     * done when its handlers have completed; when one fails, all of the batch is processed again.
     */
    public DrainBuilder siphon(String topic, Function<? super DrainEvent, ? extends Publisher<?>> handler) {
        siphons.put(topic, handler);
        return this;
    }

    /** A step of one's own: in front of the stack if none is chosen yet, else behind what is there. */
    public DrainBuilder stage(Stage stage) {
        Pipeline.Step step = new Pipeline.Step(stage, false);
        if (this.stack == null) {
            before.add(step);
        } else {
            behind.add(drain -> step);
        }
        return this;
    }

    /**
     * A listener: a batch is done when what it returns completes; when it fails, all of the batch is processed again. Called with at
     * least one event, on {@link #scheduler}.
     */
    public DrainBuilder listen(Function<? super DrainBatch, ? extends Publisher<?>> listener) {
        listeners.add(listener);
        return this;
    }

    /** What drops a resource from the cache. Called for each change, again after a failure. */
    public DrainBuilder expireCache(Function<? super DrainEvent, ? extends Publisher<?>> hook) {
        this.expire = hook;
        return this;
    }

    /** What has a resource fetched: should only put a job somewhere. Called once a URL has become dirty, again after a failure. */
    public DrainBuilder prefetch(Function<? super String, ? extends Publisher<?>> hook) {
        this.prefetch = hook;
        return this;
    }

    /**
     * Delivers what is left behind the stack so far into facet queues: type of change as type, URL as name, topic as attribute, under an
     * id that keeps it single. When a queue refuses one, since as many of its facet wait as may, the batch is processed again until it
     * does not; other queues know what they have for as long as they remember ids. What is too large for queues goes
     * without its data, behind the others of its batch.
     *
     * @param environment of an event; its topic, for example
     */
    public DrainBuilder deliverToQueues(Function<? super DrainEvent, String> environment) {
        if (stack == null) {
            stack = Stack.BASIC;
        }
        behind.add(drain -> new Pipeline.Step(new QueueBridge(drain, queues, environment), false));
        return this;
    }

    /** Whether a noop is taken for an update, so that resources which have been there all along are marked and fetched too. */
    public DrainBuilder noopIsChange(boolean yes) {
        this.noopIsChange = yes;
        return this;
    }

    /** Where stages, handlers and listeners are called. Defaults to {@link Schedulers#boundedElastic()}. */
    public DrainBuilder scheduler(Scheduler scheduler) {
        this.scheduler = scheduler;
        return this;
    }

    /**
     * The drain.
     *
     * @throws IllegalArgumentException if a token or secret is none
     * @throws IllegalStateException if the stack needs a hook that is not there
     */
    public Drain build() {
        DrainUnit unit = new DrainUnit(name, redis);
        Authenticator authenticator = Authenticator.of(tokens, secrets);
        return new Drain(unit, settings, authenticator, steps(unit), listeners, scheduler);
    }

    private DrainBuilder stack(Stack chosen) {
        if (stack != null) {
            throw new IllegalStateException(
                    "this drain is " + stack + " already: choose one stack, in front of deliverToQueues(...)");
        }
        this.stack = chosen;
        return this;
    }

    private List<Pipeline.Step> steps(DrainUnit unit) {
        List<Pipeline.Step> steps = new ArrayList<>(before);
        switch (stack == null ? Stack.BASIC : stack) {
            case BASIC -> siphon(steps);
            case MAPPING -> {
                siphon(steps);
                steps.add(decide(unit));
            }
            case CACHING -> {
                steps.add(expireEach("caching()"));
                siphon(steps);
                steps.add(decide(unit));
                steps.add(prefetchEach());
            }
            case CACHE_BUSTING -> {
                siphon(steps);
                steps.add(new Pipeline.Step(batch -> Mono.just(batch.withEvents(lastOfEach(batch.events()))), true));
                steps.add(expireEach("cacheBusting()"));
            }
        }
        behind.forEach(step -> steps.add(step.apply(unit.name())));
        return steps;
    }

    private void siphon(List<Pipeline.Step> steps) {
        if (siphons.isEmpty()) {
            return;
        }
        var handlers = Map.copyOf(siphons);
        steps.add(new Pipeline.Step(
                batch -> Flux.fromIterable(batch.events())
                        .concatMap(event -> {
                            var handler = handlers.get(event.topic());
                            return handler == null
                                    ? Mono.just(event)
                                    : Pipeline.called(() -> handler.apply(event))
                                            .then(Mono.<DrainEvent>empty());
                        })
                        .collectList()
                        .map(batch::withEvents),
                false));
    }

    private Pipeline.Step decide(DrainUnit unit) {
        Decisions decisions = new Decisions(unit, settings.filterMemory().toMillis(), true, noopIsChange);
        return new Pipeline.Step(
                batch -> batch.events().isEmpty()
                        ? Mono.just(batch)
                        : decisions
                                .decide(batch.id(), batch.events())
                                .map(decided ->
                                        batch.withEvents(decided.events()).withNewlyDirty(decided.newlyDirty())),
                true);
    }

    private Pipeline.Step expireEach(String of) {
        var hook = expire;
        if (hook == null) {
            throw new IllegalStateException(
                    of + " needs to know how to drop a resource from the cache: expireCache(...)");
        }
        boolean noopToo = noopIsChange;
        return new Pipeline.Step(
                batch -> Flux.fromIterable(batch.events())
                        .filter(event -> noopToo || event.type() != ChangeType.NOOP)
                        .flatMap(event -> Pipeline.called(() -> hook.apply(event)), SIDE_BY_SIDE)
                        .then(Mono.just(batch)),
                false);
    }

    private Pipeline.Step prefetchEach() {
        var hook = prefetch;
        if (hook == null) {
            throw new IllegalStateException("caching() needs to know how to have a resource fetched: prefetch(...)");
        }
        return new Pipeline.Step(
                batch -> Flux.fromIterable(batch.newlyDirty())
                        .flatMap(url -> Pipeline.called(() -> hook.apply(url)), SIDE_BY_SIDE)
                        .then(Mono.just(batch)),
                false);
    }

    /** The last event of each URL and type, in the order of those. */
    private static List<DrainEvent> lastOfEach(List<DrainEvent> events) {
        LinkedHashSet<List<Object>> met = new LinkedHashSet<>();
        List<DrainEvent> last = new ArrayList<>();
        for (int i = events.size() - 1; i >= 0; i--) {
            DrainEvent event = events.get(i);
            if (met.add(List.of(event.url(), event.type()))) {
                last.add(0, event);
            }
        }
        return last;
    }
}
