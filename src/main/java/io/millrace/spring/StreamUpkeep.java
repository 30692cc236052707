package io.millrace.spring;

import io.millrace.stream.Streams;
import io.millrace.stream.Upkeep;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import reactor.core.Disposable;

/** Runs a delayer and a trimmer for every stream an entity is declared for, as long as the application runs. */
final class StreamUpkeep implements SmartLifecycle {

    private static final Logger log = LoggerFactory.getLogger(StreamUpkeep.class);

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
        Upkeep upkeep = streams.upkeep();
        for (String name : names) {
            upkeep = upkeep.delayer(name, repairAfter).trimmer(name);
        }
        running = upkeep.run()
                .subscribe(none -> {}, error -> log.error("streams {} are no longer looked after", names, error));
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
