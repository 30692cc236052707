package io.millrace.cli;

import java.util.function.Consumer;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

/** Waiting for what is asynchronous: the outermost line of a command. */
final class Waiting {

    private Waiting() {}

    /**
     * Does something with each element, on a thread that may block (writing to a pipe does), and returns when the last one is done.
     * The source is asked for more only as elements are done.
     */
    static <T> void forEach(Flux<T> flux, Consumer<? super T> action) {
        flux.publishOn(Schedulers.boundedElastic()).doOnNext(action).then().block();
    }
}
