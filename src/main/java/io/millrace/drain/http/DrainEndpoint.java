package io.millrace.drain.http;

import io.millrace.MillraceException;
import io.millrace.drain.Authentication;
import io.millrace.drain.Drain;
import io.millrace.drain.DrainSettings;
import io.millrace.drain.Head;
import io.millrace.drain.Incoming;
import io.millrace.drain.Intake;
import io.millrace.json.Json;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.netty.channel.AbortedException;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;

/**
 * Answers requests at the path of a drain. What is asked of a request, in this order: its method, its sender, whether there is room,
 * its type, its size, its content; then it is stored, and only then acknowledged.
 */
public final class DrainEndpoint {

    private static final Logger log = LoggerFactory.getLogger(DrainEndpoint.class);

    /** What becomes of errors that nobody waits for any more: a body that breaks off when its request was answered already. */
    private static final String ON_ERROR_DROPPED = "reactor.onErrorDropped.local";

    /** Bytes that take about a millisecond to read. */
    private static final int LARGE = 128 << 10;

    private final Intake intake;
    private final DrainSettings settings;
    private final AtomicInteger underWay = new AtomicInteger();
    private final AtomicLong buffered = new AtomicLong();

    /** @throws IllegalStateException if the drain has neither tokens nor webhook secrets */
    public DrainEndpoint(Drain drain) {
        this.intake = drain.intake();
        this.settings = intake.settings();
        if (!intake.isOpen()) {
            throw new IllegalStateException(
                    "nobody could send to drain \"" + drain.name() + "\": give it tokens(...) or webhookSecrets(...)");
        }
    }

    /** Answers one request. Never fails, but by the connection. */
    public Mono<Void> handle(HttpServerRequest request, HttpServerResponse response) {
        return Mono.defer(() -> receive(request, response))
                .onErrorResume(failure -> failed(request, response, failure))
                .contextWrite(context -> context.put(ON_ERROR_DROPPED, (Consumer<Throwable>) DrainEndpoint::tooLate));
    }

    private static void tooLate(Throwable failure) {
        log.debug("a body broke off after its request had been answered", failure);
    }

    /** Says that there is nothing at the path of a request. */
    Mono<Void> nothingHere(HttpServerRequest request, HttpServerResponse response) {
        return refuse(request, response, Refusal.of(404, "not_found", "events go to the path the drain is mounted at"));
    }

    static String path(HttpServerRequest request) {
        String uri = request.uri();
        int mark = uri.indexOf('?');
        return mark < 0 ? uri : uri.substring(0, mark);
    }

    private Mono<Void> receive(HttpServerRequest request, HttpServerResponse response) {
        if (!request.method().equals(HttpMethod.POST)) {
            throw Refusal.of(405, "method_not_allowed", "events are sent with POST")
                    .header("Allow", "POST");
        }
        HttpHeaders headers = request.requestHeaders();
        Head head = headers::get;
        Authentication sender = intake.authenticate(head);
        if (sender != null) {
            mustBeAccepted(sender);
        }
        if (underWay.get() >= settings.maxInFlight()) {
            throw Refusal.overloaded(settings.maxInFlight() + " requests are under way, which is the limit");
        }
        if (intake.isFull()) {
            throw intake.overloaded();
        }
        mustBeUnderstood(head);
        long length = length(headers);
        if (length > settings.maxBodyBytes()) {
            throw Refusal.tooLarge(settings.maxBodyBytes());
        }
        Body body = new Body(buffered, (int) length, settings);
        Mono<byte[]> whole = body(request, body);
        underWay.incrementAndGet();
        return whole.flatMap(bytes -> read(head, sender, bytes))
                .flatMap(intake::store)
                .flatMap(stored ->
                        response.status(HttpResponseStatus.NO_CONTENT).send().then())
                .doFinally(end -> {
                    underWay.decrementAndGet();
                    body.release();
                });
    }

    /** The body, when it is there as a whole; the time for that runs on the connection's own loop, which is cheapest. */
    private Mono<byte[]> body(HttpServerRequest request, Body body) {
        Scheduler[] loop = new Scheduler[1];
        request.withConnection(connection ->
                loop[0] = Schedulers.fromExecutorService(connection.channel().eventLoop(), "drain"));
        return request.receive()
                .collect(() -> body, Body::add)
                .map(Body::bytes)
                .timeout(
                        settings.bodyTimeout(),
                        Mono.error(() -> Refusal.tooSlow(settings.bodyTimeout().toSeconds())),
                        loop[0]);
    }

    /** A small body is read where it arrived; a large one would keep other connections waiting there. */
    private Mono<Incoming> read(Head head, @Nullable Authentication sender, byte[] body) {
        Mono<Incoming> batch = Mono.fromSupplier(() -> {
            if (sender == null) {
                mustBeAccepted(intake.authenticate(head, body));
            }
            return intake.read(head, body);
        });
        return body.length > LARGE ? batch.subscribeOn(Schedulers.parallel()) : batch;
    }

    private static void mustBeAccepted(Authentication sender) {
        switch (sender.outcome()) {
            case ACCEPTED -> {}
            case MISSING ->
                throw Refusal.of(401, "credentials_required", sender.reason())
                        .header("WWW-Authenticate", "Basic realm=\"millrace\", charset=\"UTF-8\"");
            case REFUSED -> throw Refusal.of(403, "credentials_refused", sender.reason());
        }
    }

    private void mustBeUnderstood(Head head) {
        if (!intake.understands(head)) {
            throw Refusal.of(
                    415,
                    "unsupported_media_type",
                    "Content-Type must be application/json, application/cloudevents+json or"
                            + " application/cloudevents-batch+json");
        }
        String encoding = head.get("content-encoding");
        if (encoding != null && !encoding.toLowerCase(Locale.ROOT).equals("identity")) {
            throw Refusal.of(415, "unsupported_media_type", "Content-Encoding must be identity");
        }
    }

    private static long length(HttpHeaders headers) {
        String length = headers.get(HttpHeaderNames.CONTENT_LENGTH);
        if (length == null) {
            return 0;
        }
        try {
            return Long.parseLong(length.trim());
        } catch (NumberFormatException e) {
            throw Refusal.of(400, "bad_request", "Content-Length is no number");
        }
    }

    private static Mono<Void> failed(HttpServerRequest request, HttpServerResponse response, Throwable failure) {
        if (AbortedException.isConnectionReset(failure) || failure instanceof AbortedException) {
            return Mono.error(failure); // nobody is there to be answered
        }
        if (response.hasSentHeaders()) {
            return Mono.error(failure);
        }
        Refusal refusal = Refusal.from(failure);
        if (refusal.status() >= 500) {
            boolean expected = failure instanceof MillraceException || failure instanceof Refusal;
            if (expected) {
                log.debug("a batch was not stored: {}", refusal.getMessage());
            } else {
                log.error("a batch was not stored, for no known reason", failure);
            }
        }
        return refuse(request, response, refusal);
    }

    /** Answers with a refusal. A body that is not wanted is not read to its end: the connection ends soon after the answer. */
    private static Mono<Void> refuse(HttpServerRequest request, HttpServerResponse response, Refusal refusal) {
        refusal.headers().forEach(response::header);
        HttpHeaders headers = request.requestHeaders();
        boolean body = headers.contains(HttpHeaderNames.TRANSFER_ENCODING)
                || !headers.get(HttpHeaderNames.CONTENT_LENGTH, "0").equals("0");
        byte[] shape = Json.write(refusal.shape(path(request)));
        response.status(refusal.status())
                .header(HttpHeaderNames.CONTENT_TYPE, "application/problem+json")
                .header(HttpHeaderNames.CONTENT_LENGTH, String.valueOf(shape.length));
        return body && refusal.leavesBody()
                ? Lingering.answer(request, response, shape)
                : response.sendByteArray(Mono.just(shape)).then();
    }
}
