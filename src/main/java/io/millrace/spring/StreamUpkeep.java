package io.millrace.spring;

import io.millrace.stream.Streams;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** Runs a delayer and a trimmer for every stream an entity is declared for, as long as the application runs. */
final class StreamUpkeep implements SmartLifecycle {

    private static final Logger log = LoggerFactory.getLogger(StreamUpkeep.class);

    private static final Duration PAUSE = Duration.ofSeconds(5);

    private final Streams streams;
    private final Set<String> names;
    private final Duration repairAfter;
    private @Nullable Disposable running;

    StreamUpkeep(Streams streams, Set<String> names, Duration repairAfter) {
        this.streams = streams;
        this.names = names;
        this.repairAfter = repairAfter;
    }

    @Override
    public synchronized void start() {
        running = Flux.fromIterable(names)
                .flatMap(
                        name -> Mono.when(
                                kept(name, streams.delayer(name, repairAfter).run()),
                                kept(name, streams.trimmer(name).run())),
                        Math.max(1, names.size()))
                .subscribe(none -> {}, error -> log.error("streams {} are no longer looked after", names, error));
    }

    /** What fails for one stream is told and tried again; it does not end the others. */
    private static Mono<Void> kept(String name, Mono<Void> work) {
        return work.doOnError(error -> log.error("stream \"{}\" is not looked after for now", name, error))
                .retryWhen(Retry.fixedDelay(Long.MAX_VALUE, PAUSE));
    }

    @Override
    public synchronized void stop() {
        if (running != null) {
            running.dispose();
            running = null;
        }
    }

    @Override
    public synchronized boolean isRunning() {
        return running != null && !running.isDisposed();
    }
}
