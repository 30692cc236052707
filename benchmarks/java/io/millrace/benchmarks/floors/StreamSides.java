package io.millrace.benchmarks.floors;

import io.lettuce.core.RedisClient;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.StreamMessage;
import io.lettuce.core.XReadArgs;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.reactive.RedisReactiveCommands;
import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.json.Json;
import io.millrace.redis.LuaSource;
import io.millrace.redis.RedisSettings;
import io.millrace.stream.Change;
import io.millrace.stream.StreamConsumer;
import io.millrace.stream.StreamProducer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.redisson.Redisson;
import org.redisson.api.RBatch;
import org.redisson.api.RStream;
import org.redisson.api.RedissonClient;
import org.redisson.api.stream.StreamAddArgs;
import org.redisson.api.stream.StreamMessageId;
import org.redisson.api.stream.StreamReadGroupArgs;
import org.redisson.client.codec.StringCodec;
import org.redisson.config.Config;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.data.redis.connection.stream.Consumer;
import org.springframework.data.redis.connection.stream.MapRecord;
import org.springframework.data.redis.connection.stream.ReadOffset;
import org.springframework.data.redis.connection.stream.RecordId;
import org.springframework.data.redis.connection.stream.StreamOffset;
import org.springframework.data.redis.core.ReactiveStringRedisTemplate;
import org.springframework.data.redis.stream.StreamReceiver;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/** The same work by the library, by the driver alone, and by its peers; each as a user would write it. */
final class StreamSides implements AutoCloseable {

    /** How many handlers where there are several. */
    static final int HANDLERS = 8;

    /** How many keys their entries have. */
    static final int KEYS = 1_000;

    private static final String NAMESPACE = "bench";
    private static final String LOG = "peer";
    private static final String GROUP = "g";

    private final BenchServer server;
    private final int batch;
    private final String[] payloads;
    private final Millrace mill;
    private final StreamProducer producer;
    private final RedisClient lettuce;
    private final StatefulRedisConnection<String, String> connection;
    private final LettuceConnectionFactory spring;
    private final ReactiveStringRedisTemplate template;
    private final RedissonClient redisson;

    /** @param entries payloads are made beforehand: they are the user's */
    StreamSides(BenchServer server, int batch, int entries) {
        this.server = server;
        this.batch = batch;
        this.payloads =
                IntStream.range(0, entries).mapToObj(StreamSides::payload).toArray(String[]::new);
        this.mill = Millrace.connect(MillraceSettings.of(
                RedisSettings.builder(server.uri()).namespace(NAMESPACE).build()));
        this.producer = mill.streams().producer("s");
        this.lettuce = RedisClient.create(server.uri());
        this.connection = lettuce.connect();
        this.spring = new LettuceConnectionFactory("127.0.0.1", server.port());
        spring.afterPropertiesSet();
        spring.start();
        this.template = new ReactiveStringRedisTemplate(spring);
        Config config = new Config().setCodec(StringCodec.INSTANCE);
        config.useSingleServer().setAddress(server.uri());
        this.redisson = Redisson.create(config);
    }

    /** A payload of about 200 bytes. */
    static String payload(int i) {
        return "{\"id\":" + (1_000_000 + i) + ",\"filler\":\"" + "x".repeat(170) + "\"}";
    }

    private static List<Integer> numbers(int from, int count) {
        return IntStream.range(from, from + count).boxed().toList();
    }

    void produce(int entries) {
        Flux.range(0, entries / batch).concatMap(b -> queue(b, batch), 0).blockLast();
    }

    /** Two calls under way: one is written while the server works on the other. */
    void produceAhead(int entries, int size) {
        Flux.range(0, entries / size)
                .flatMapSequential(b -> queue(b, size), 2, 1)
                .blockLast();
    }

    private Mono<Integer> queue(int number, int size) {
        return Mono.defer(() -> producer.queueAll(numbers(number * size, size).stream()
                        .map(i -> Change.json(payloads[i].getBytes(StandardCharsets.UTF_8)))
                        .toList())
                .map(List::size));
    }

    void produceRaw(int entries) {
        RedisReactiveCommands<String, String> commands = connection.reactive();
        Flux.range(0, entries / batch)
                .concatMap(b -> Flux.fromIterable(numbers(b * batch, batch))
                        .flatMap(i -> commands.xadd(LOG, Map.of("payload", payloads[i])), batch)
                        .then())
                .blockLast();
    }

    void produceSpring(int entries) {
        Flux.range(0, entries / batch)
                .concatMap(b -> Flux.fromIterable(numbers(b * batch, batch))
                        .flatMap(i -> template.opsForStream().add(LOG, Map.of("payload", payloads[i])), batch)
                        .then())
                .blockLast();
    }

    void produceRedisson(int entries) {
        for (int b = 0; b < entries / batch; b++) {
            RBatch calls = redisson.createBatch();
            for (int i : numbers(b * batch, batch)) {
                var unused = calls.<String, String>getStream(LOG).addAsync(StreamAddArgs.entry("payload", payloads[i]));
            }
            calls.execute();
        }
    }

    /** What a side is to consume, and what it needs beforehand. */
    void fill(String side, int entries) {
        if (side.equals("Millrace")) {
            produce(entries);
            return;
        }
        produceRaw(entries);
        if (side.equals("raw Lettuce")) {
            server.admin().call("SET", "peer:offset", "0-0").block();
            server.admin().call("SET", "peer:fence", "1").block();
        } else {
            server.admin().call("XGROUP", "CREATE", LOG, GROUP, "0").block();
        }
    }

    void consume(int entries) {
        consume(entries, mill.streams().consumer("s", "c"));
    }

    /** Several handlers, each with entries of keys of its own. */
    void consumeKeyed(int entries) {
        consume(
                entries,
                mill.streams().consumer("s", "c").concurrency(HANDLERS).keyedBy(entry -> key(entry.get("id"))));
    }

    private static int key(Object id) {
        return ((Number) id).intValue() % KEYS;
    }

    private void consume(int entries, StreamConsumer consumer) {
        AtomicInteger left = new AtomicInteger(entries);
        Sinks.Empty<Void> done = Sinks.empty();
        consumer.with(consumer.options()
                        .mutate()
                        .batchSize(batch)
                        .scheduler(Schedulers.immediate())
                        .until(done.asMono())
                        .build())
                .consume(got -> {
                    if (left.addAndGet(-got.size()) == 0) {
                        done.tryEmitEmpty();
                    }
                    return Mono.empty();
                })
                .block();
    }

    /** XREAD and the library's own commit script, one after the other. */
    void consumeRaw(int entries) {
        consumeRaw(entries, Mono::just);
    }

    /** What was read is divided by key among handlers, and committed when all have done their part. */
    void consumeKeyedRaw(int entries) {
        consumeRaw(
                entries,
                read -> Flux.fromIterable(read.stream()
                                .collect(Collectors.groupingBy(StreamSides::handler))
                                .values())
                        .flatMap(part -> Mono.just(part.size()), HANDLERS)
                        .then(Mono.just(read)));
    }

    private static int handler(StreamMessage<String, String> message) {
        Map<?, ?> payload =
                (Map<?, ?>) Json.read(message.getBody().get("payload").getBytes(StandardCharsets.UTF_8));
        return key(payload.get("id")) % HANDLERS;
    }

    @SuppressWarnings("unchecked") // an array of generics, for varargs
    private void consumeRaw(
            int entries,
            Function<List<StreamMessage<String, String>>, Mono<List<StreamMessage<String, String>>>> handled) {
        RedisReactiveCommands<String, String> commands = connection.reactive();
        String sha = server.load(LuaSource.load("stream/commit.lua").text());
        String[] keys = {LOG, "peer:", "peer:offset", "peer:lock", "peer:fence"};
        String[] from = {"0-0"};
        Mono.defer(() -> commands.xread(
                                XReadArgs.Builder.count(batch).block(Duration.ofSeconds(2)),
                                XReadArgs.StreamOffset.from(LOG, from[0]))
                        .collectList()
                        .flatMap(handled)
                        .flatMap(read -> committed(commands, sha, keys, from, read)))
                .repeat(entries / batch - 1)
                .blockLast();
    }

    private static Mono<Integer> committed(
            RedisReactiveCommands<String, String> commands,
            String sha,
            String[] keys,
            String[] from,
            List<StreamMessage<String, String>> read) {
        from[0] = read.get(read.size() - 1).getId();
        return commands.evalsha(sha, ScriptOutputType.MULTI, keys, "c", "token", "1", from[0])
                .then(Mono.just(read.size()));
    }

    void consumeSpring(int entries) {
        StreamReceiver<String, MapRecord<String, String, String>> receiver = StreamReceiver.create(
                spring,
                StreamReceiver.StreamReceiverOptions.builder()
                        .batchSize(batch)
                        .pollTimeout(Duration.ofMillis(100))
                        .build());
        receiver.receive(Consumer.from(GROUP, "c"), StreamOffset.create(LOG, ReadOffset.lastConsumed()))
                .take(entries)
                .buffer(batch)
                .concatMap(read -> template.opsForStream()
                        .acknowledge(
                                LOG, GROUP, read.stream().map(MapRecord::getId).toArray(RecordId[]::new)))
                .blockLast();
    }

    void consumeRedisson(int entries) {
        RStream<String, String> stream = redisson.getStream(LOG);
        int left = entries;
        while (left > 0) {
            List<StreamMessageId> ids = new ArrayList<>(stream.readGroup(
                            GROUP, "c", StreamReadGroupArgs.neverDelivered().count(batch))
                    .keySet());
            stream.ack(GROUP, ids.toArray(StreamMessageId[]::new));
            left -= ids.size();
        }
    }

    @Override
    public void close() {
        redisson.shutdown();
        spring.destroy();
        connection.close();
        lettuce.shutdown();
        mill.shutdown().block();
    }
}
