package io.millrace.drain;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.json.Notifications;
import io.millrace.json.Notifications.Notification;
import io.millrace.redis.RedisSettings;
import io.millrace.testing.RedisServer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A Millrace in a namespace of its own, and what tests of drains do over and over. */
public final class DrainRig implements AutoCloseable {

    /** For calls that must come back. */
    public static final Duration SOON = Duration.ofSeconds(20);

    /** Quick to retry and to take over. */
    public static final DrainSettings QUICK = DrainSettings.builder()
            .lease(Duration.ofMillis(600))
            .maxRetryDelay(Duration.ofMillis(50))
            .build();

    public final Millrace mill;

    private DrainRig(Millrace mill) {
        this.mill = mill;
    }

    public static DrainRig on(RedisServer server, String namespace) {
        return on(server.settings(namespace));
    }

    public static DrainRig on(String uri, String namespace) {
        return on(RedisSettings.builder(uri).namespace(namespace).build());
    }

    private static DrainRig on(RedisSettings settings) {
        return new DrainRig(Millrace.connect(MillraceSettings.of(settings)));
    }

    public static DrainEvent event(ChangeType type, String url, long t) {
        return new DrainEvent("widgets", type, url, t, null);
    }

    public static DrainEvent update(String url, long t) {
        return event(ChangeType.UPDATE, url, t);
    }

    /** A body as Routemaster sends it. */
    public static byte[] body(DrainEvent... events) {
        return Notifications.write(Arrays.stream(events)
                .map(one -> new Notification(one.topic(), one.type().word(), one.url(), one.t(), one.data()))
                .toList());
    }

    private static final Head PLAIN =
            name -> Map.of("content-type", "application/json").get(name);

    /** Gives a drain a batch as its server would; returns when it is safe. */
    public static Intake.Stored send(Drain drain, DrainEvent... events) {
        return send(drain, body(events));
    }

    public static Intake.Stored send(Drain drain, byte[] body) {
        Incoming batch = drain.intake().read(PLAIN, body);
        return Objects.requireNonNull(drain.intake().store(batch).block(SOON));
    }

    /** What stands at a key of a drain's unit, such as {@code inbox}; to count with one command. */
    public long count(String command, String drain, String part) {
        Object answer = mill.redis()
                .call(command, mill.redis().keys().unitText("drain", drain, 0) + part)
                .block(SOON);
        return (Long) Objects.requireNonNull(answer);
    }

    /** Names of all keys of a drain's unit. */
    public List<String> keys(String drain) {
        Object answer = mill.redis()
                .call("KEYS", mill.redis().keys().unitText("drain", drain, 0) + "*")
                .block(SOON);
        int prefix = mill.redis().keys().unitText("drain", drain, 0).length();
        return ((List<?>) Objects.requireNonNull(answer))
                .stream()
                        .map(key -> new String((byte[]) key, StandardCharsets.UTF_8).substring(prefix))
                        .sorted()
                        .toList();
    }

    @Override
    public void close() {
        mill.shutdown().block(SOON);
    }
}
