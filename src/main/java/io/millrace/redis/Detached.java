package io.millrace.redis;

import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * Work that takes something from the server and so must not be abandoned: it runs to its end even if its caller cancels, and what
 * it brought is then handed to somebody who gives it back. It subscribes for that reason.
 */
public final class Detached {

    private static final Logger log = LoggerFactory.getLogger(Detached.class);

    private enum State {
        RUNNING,
        ARRIVED,
        ABANDONED
    }

    private Detached() {}

    /**
     * Runs work once for each subscription.
     *
     * @param work what takes something
     * @param unwanted is given the result when the caller has cancelled before it arrived
     */
    public static <T> Mono<T> run(Mono<T> work, Consumer<? super T> unwanted) {
        return Mono.create(sink -> {
            AtomicReference<State> state = new AtomicReference<>(State.RUNNING);
            sink.onCancel(() -> state.compareAndSet(State.RUNNING, State.ABANDONED));
            work.subscribe(
                    value -> {
                        if (state.compareAndSet(State.RUNNING, State.ARRIVED)) {
                            sink.success(value);
                        } else if (state.get() == State.ABANDONED) {
                            unwanted.accept(value);
                        }
                    },
                    error -> {
                        if (state.compareAndSet(State.RUNNING, State.ARRIVED)) {
                            sink.error(error);
                        } else {
                            log.debug("abandoned work failed", error);
                        }
                    },
                    () -> {
                        if (state.compareAndSet(State.RUNNING, State.ARRIVED)) {
                            sink.success();
                        }
                    });
        });
    }
}
