package io.millrace.queue;

import io.millrace.Event;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.redis.RedisSettings;
import io.millrace.redis.Reply;
import io.millrace.testing.RedisServer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/** A Millrace in a namespace of its own with one queue "q" that wants everything, and what tests do with it over and over. */
final class QueueRig implements AutoCloseable {

    /** For calls that must come back. */
    static final Duration SOON = Duration.ofSeconds(20);

    /** The shortest legal lease. */
    static final LeaseOptions SHORT =
            LeaseOptions.builder().lease(Duration.ofMillis(100)).build();

    static final LeaseOptions LONG = LeaseOptions.defaults();

    final Millrace mill;
    final FacetQueue queue;
    final String namespace;
    final int partitions;

    private QueueRig(Millrace mill, String namespace, int partitions) {
        this.mill = mill;
        this.namespace = namespace;
        this.partitions = partitions;
        this.queue = mill.queue("q");
    }

    static QueueRig on(RedisServer server, String namespace) {
        return on(server.settings(namespace), QueueSettings.defaults());
    }

    static QueueRig on(String uri, String namespace) {
        return on(RedisSettings.builder(uri).namespace(namespace).build(), QueueSettings.defaults());
    }

    static QueueRig on(RedisSettings redis, QueueSettings queues) {
        QueueRig rig = joining(redis, queues);
        rig.mill.queues().register("q", ".*").block(SOON);
        return rig;
    }

    /** One whose queue has so many partitions. */
    static QueueRig on(RedisSettings redis, int partitions) {
        Millrace mill = Millrace.connect(MillraceSettings.of(redis));
        mill.queues()
                .register(
                        "q", ".*", QueueOptions.builder().partitions(partitions).build())
                .block(SOON);
        return new QueueRig(mill, redis.namespace(), partitions);
    }

    static QueueRig on(RedisServer server, String namespace, int partitions) {
        return on(server.settings(namespace), partitions);
    }

    /** As above, where the queue is registered already or Redis cannot be reached yet. */
    static QueueRig joining(RedisSettings redis, QueueSettings queues) {
        return new QueueRig(Millrace.connect(MillraceSettings.of(redis).withQueues(queues)), redis.namespace(), 1);
    }

    static Event event(String facet, String id) {
        return Event.of(facet, "test", id).withId(id);
    }

    /** Registers the queue anew, so that each facet may have so many waiting. */
    void limit(int limit, Admission.Overflow overflow) {
        mill.queues().register("q", ".*", Admission.of(limit, overflow)).block(SOON);
    }

    void deliver(String facet, String... ids) {
        for (String id : ids) {
            mill.deliver(event(facet, id)).block(SOON);
        }
    }

    /** So many of one facet in few round trips, ids facet-0, facet-1 and so on. */
    void fill(String facet, int count) {
        List<Event> events = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            events.add(event(facet, facet + "-" + i));
        }
        mill.queues().deliverAll(events).block(Duration.ofSeconds(60));
    }

    List<Delivery> lease(int n, LeaseOptions options) {
        return Objects.requireNonNull(queue.lease(n, options).collectList().block(SOON));
    }

    /** The one message that comes next, waiting for it. */
    Delivery next(LeaseOptions options) {
        return Objects.requireNonNull(queue.receive(options).take(1).blockLast(SOON));
    }

    List<String> pullIds(int n) {
        return Objects.requireNonNull(
                queue.pull(n).map(Message::id).collectList().block(SOON));
    }

    List<FacetState> facets() {
        return Objects.requireNonNull(queue.facets().collectList().block(SOON));
    }

    long inFlight() {
        return facets().stream().mapToLong(FacetState::inFlight).sum();
    }

    long waiting() {
        return facets().stream().mapToLong(FacetState::waiting).sum();
    }

    List<DeadLetter> deadLetters() {
        return Objects.requireNonNull(queue.deadLetters().collectList().block(SOON));
    }

    DoctorReport doctor() {
        return Objects.requireNonNull(queue.doctor().block(SOON));
    }

    /** A key of the queue, such as {@code ring}. */
    String key(String part) {
        return key(0, part);
    }

    String key(int partition, String part) {
        return mill.redis().keys().unitText("queue", "q", partition) + part;
    }

    /** The partition of a facet. */
    int of(String facet) {
        return Facets.partition(facet, partitions);
    }

    /** So many facets, all of one partition. */
    List<String> facetsIn(int partition, int count) {
        return IntStream.iterate(0, i -> i + 1)
                .mapToObj(i -> "f" + i)
                .filter(facet -> of(facet) == partition)
                .limit(count)
                .toList();
    }

    /** A command past the queue, to look or to harm. */
    Reply raw(String command, Object... words) {
        return Reply.of(Objects.requireNonNull(
                mill.redis().call(command, words).defaultIfEmpty(List.of()).block(SOON)));
    }

    long number(String command, Object... words) {
        return raw(command, words).number(0);
    }

    /** The names of all keys in this namespace. */
    List<String> keys() {
        List<String> keys = new ArrayList<>();
        String cursor = "0";
        do {
            Reply page = raw("SCAN", cursor, "MATCH", namespace + ":*", "COUNT", 1000);
            cursor = page.text(0);
            Reply names = page.list(1);
            for (int i = 0; i < names.size(); i++) {
                keys.add(new String(names.bytes(i), StandardCharsets.UTF_8));
            }
        } while (!cursor.equals("0"));
        return keys;
    }

    @Override
    public void close() {
        mill.shutdown().block(SOON);
    }
}
