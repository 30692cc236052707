package io.millrace.redis;

import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Mono;

/**
 * Work that takes something from the server and so must not be abandoned: it runs to its end even if its caller cancels, and what
 * it brought is then handed to somebody who gives it back. It subscribes for that reason.
 */
public final class Detached {

    private static final Logger log = LoggerFactory.getLogger(Detached.class);

    private Detached() {}

    /**
     * Runs work once for each subscription.
     *
     * @param work what takes something
     * @param unwanted is given the result when the caller has cancelled before it got it
     */
    public static <T> Mono<T> run(Mono<T> work, Consumer<? super T> unwanted) {
        return Mono.defer(() -> new Run<T>(unwanted).of(work));
    }

    /**
     * Begins work whose caller does not wait.
     *
     * @param result is given what it brings
     */
    public static <T> void start(Mono<T> work, Consumer<? super T> result) {
        work.subscribe(result, error -> log.debug("work that nobody waits for failed", error));
    }

    /** Work that tells when it has begun: right after, by who asked for it. */
    public static <T> Mono<T> telling(Mono<T> work, Runnable begun) {
        return new Mono<>() {
            @Override
            public void subscribe(CoreSubscriber<? super T> actual) {
                work.subscribe(actual);
                begun.run();
            }
        };
    }

    /**
     * One run. Only word of the result passes through Reactor's sink, which drops what comes in the moment of a cancel; the result
     * lies here until either the caller or the one who gives it back takes it.
     */
    private static final class Run<T> {

        private final Consumer<? super T> unwanted;
        private final AtomicReference<@Nullable T> arrived = new AtomicReference<>();
        private volatile boolean over;
        private boolean brought; // touched by the work only

        Run(Consumer<? super T> unwanted) {
            this.unwanted = unwanted;
        }

        Mono<T> of(Mono<T> work) {
            return Mono.<Boolean>create(sink -> work.subscribe(
                            value -> {
                                brought = true;
                                arrived.set(value);
                                if (over) {
                                    giveBack();
                                } else {
                                    sink.success(true);
                                }
                            },
                            error -> {
                                if (over) {
                                    log.debug("abandoned work failed", error);
                                } else {
                                    sink.error(error);
                                }
                            },
                            () -> {
                                if (!brought) { // else it would take the place of word that was not asked for yet
                                    sink.success();
                                }
                            }))
                    .mapNotNull(here -> arrived.getAndSet(null))
                    .doFinally(end -> {
                        over = true;
                        giveBack();
                    });
        }

        private void giveBack() {
            T value = arrived.getAndSet(null);
            if (value != null) {
                unwanted.accept(value);
            }
        }
    }
}
