package io.millrace.drain.http;

import io.netty.buffer.ByteBuf;
import java.time.Duration;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;

/**
 * The end of a connection whose request was answered before its body was there. If it were closed with the answer, what still comes would
 * make the system reset it, and the sender could lose an answer that it has received and not read (RFC 9112, section 9.6). So a bounded
 * part of the rest is read and dropped first, and the answer is on its way meanwhile.
 */
public final class Lingering {

    /** What is read of a rest at most: 1 MiB. */
    public static final long MOST_BYTES = 1 << 20;

    /** How long it is read, and the sender's end of the connection waited for: 1 s. */
    public static final Duration AT_MOST = Duration.ofSeconds(1);

    private Lingering() {}

    /**
     * Sends a whole answer, whose length is in its headers, and then ends the connection in that way. The rest of the body counts as
     * wanted by nobody: do not read it elsewhere.
     */
    public static Mono<Void> answer(HttpServerRequest request, HttpServerResponse response, byte[] body) {
        // A Flux that does not look like a Mono: that would go out as the end of the answer, and so of the connection.
        return response.keepAlive(false)
                .sendByteArray(Flux.just(body).hide())
                .then()
                .then(rest(request));
    }

    private static Mono<Void> rest(HttpServerRequest request) {
        return Mono.defer(() -> {
            long[] left = {MOST_BYTES};
            Mono<Void> dropped = request.receive()
                    .map(ByteBuf::readableBytes)
                    .takeUntil(size -> (left[0] -= size) <= 0)
                    .then()
                    .onErrorResume(read -> Mono.never()); // somebody had begun to: what comes is dropped as it comes
            return Mono.firstWithSignal(
                    dropped, gone(request), Mono.delay(AT_MOST).then());
        });
    }

    /** The sender has the answer, and has closed. */
    private static Mono<Void> gone(HttpServerRequest request) {
        return Mono.create(sink -> request.withConnection(
                connection -> connection.channel().closeFuture().addListener(closed -> sink.success())));
    }
}
