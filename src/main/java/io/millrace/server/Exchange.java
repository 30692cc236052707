package io.millrace.server;

import io.millrace.drain.http.Lingering;
import io.millrace.json.Json;
import io.netty.handler.codec.http.HttpHeaderNames;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;

/** One request and its answer. */
final class Exchange {

    static final String JSON = "application/json";

    private final HttpServerRequest request;
    private final HttpServerResponse response;
    private final Map<String, String> path;
    private final int maxBodyBytes;

    Exchange(HttpServerRequest request, HttpServerResponse response, Map<String, String> path, int maxBodyBytes) {
        this.request = request;
        this.response = response;
        this.path = path;
        this.maxBodyBytes = maxBodyBytes;
    }

    HttpServerRequest request() {
        return request;
    }

    HttpServerResponse response() {
        return response;
    }

    /** A part of the path, decoded. */
    String path(String name) {
        String value = path.get(name);
        if (value == null) {
            throw new IllegalStateException("the route has no part " + name);
        }
        return value;
    }

    /** A parameter of the query, decoded; {@code null} if it is not there. */
    @Nullable
    String query(String name) {
        String uri = request.uri();
        int mark = uri.indexOf('?');
        if (mark >= 0) {
            for (String pair : uri.substring(mark + 1).split("&", -1)) {
                int equals = pair.indexOf('=');
                String key = equals < 0 ? pair : pair.substring(0, equals);
                if (decode(key.replace("+", "%20")).equals(name)) {
                    return equals < 0 ? "" : decode(pair.substring(equals + 1).replace("+", "%20"));
                }
            }
        }
        return null;
    }

    /** A number of the query. */
    int number(String name, int otherwise, int min, int max) {
        String text = query(name);
        return text == null ? otherwise : number(name, text, min, max);
    }

    static int number(String name, @Nullable Object value, int min, int max) {
        try {
            int number = Integer.parseInt(String.valueOf(value));
            if (number >= min && number <= max) {
                return number;
            }
        } catch (NumberFormatException e) {
            // told below
        }
        throw Problem.of(
                400, "bad_request", name + " must be a whole number from " + min + " to " + max + ", was " + value);
    }

    /** The media type of the body, in lower case and without parameters; empty if it is not named. */
    String mediaType() {
        String type = request.requestHeaders().get(HttpHeaderNames.CONTENT_TYPE, "");
        int semicolon = type.indexOf(';');
        return (semicolon < 0 ? type : type.substring(0, semicolon)).trim().toLowerCase(Locale.ROOT);
    }

    /** The body as one JSON value. */
    Mono<Body> json() {
        return Mono.defer(() -> {
            mustBe(JSON);
            return bytes().map(bytes -> new Body(Json.read(bytes)));
        });
    }

    /** The body as a JSON object with no other fields than these; empty if there is no body. */
    Mono<Map<String, @Nullable Object>> object(String... fields) {
        if (!hasBody()) {
            return Mono.just(Map.of());
        }
        return json().map(body -> {
            if (!(body.value() instanceof Map<?, ?> map)) {
                throw Problem.of(400, "bad_request", "the body must be a JSON object");
            }
            Map<String, @Nullable Object> object = new LinkedHashMap<>();
            map.forEach((key, value) -> object.put(String.valueOf(key), value));
            for (String key : object.keySet()) {
                if (!Arrays.asList(fields).contains(key)) {
                    throw Problem.of(
                            400,
                            "bad_request",
                            "the body has a field \"" + key + "\"; known are " + String.join(", ", fields));
                }
            }
            return object;
        });
    }

    /**
     * A parsed body; it may be the JSON value null.
     *
     * @param value what it says
     */
    record Body(@Nullable Object value) {}

    void mustBe(String mediaType) {
        if (!mediaType().equals(mediaType)) {
            throw unsupported(mediaType);
        }
    }

    Problem unsupported(String expected) {
        return Problem.of(
                415, "unsupported_media_type", "Content-Type must be " + expected + ", was \"" + mediaType() + "\"");
    }

    /** The whole body, up to the limit. */
    Mono<byte[]> bytes() {
        return stream(maxBodyBytes)
                .collect(ByteArrayOutputStream::new, ByteArrayOutputStream::writeBytes)
                .map(ByteArrayOutputStream::toByteArray);
    }

    /** The body as it comes, up to a limit; what it claims to be is checked first. */
    Flux<byte[]> stream(long maxBytes) {
        return Flux.defer(() -> {
            String encoding = request.requestHeaders().get(HttpHeaderNames.CONTENT_ENCODING, "identity");
            if (!encoding.equalsIgnoreCase("identity")) {
                throw Problem.of(
                        415, "unsupported_media_type", "Content-Encoding must be identity, was \"" + encoding + "\"");
            }
            if (contentLength() > maxBytes) {
                throw tooLarge(maxBytes);
            }
            AtomicLong received = new AtomicLong();
            return request.receive().asByteArray().doOnNext(piece -> {
                if (received.addAndGet(piece.length) > maxBytes) {
                    throw tooLarge(maxBytes);
                }
            });
        });
    }

    /** Answers with JSON. */
    Mono<Void> answer(int status, @Nullable Object shape) {
        return send(status, JSON, Json.write(shape));
    }

    /** Answers with a body that is ready. */
    Mono<Void> send(int status, String type, byte[] body) {
        return head(status, type, body).sendByteArray(Mono.just(body)).then();
    }

    /**
     * Answers with a problem.
     *
     * @param last whether this is the end of the connection, since the request's body is not read to its end
     */
    Mono<Void> problem(int status, byte[] shape, boolean last) {
        HttpServerResponse begun = head(status, "application/problem+json", shape);
        return last
                ? Lingering.answer(request, begun, shape)
                : begun.sendByteArray(Mono.just(shape)).then();
    }

    private HttpServerResponse head(int status, String type, byte[] body) {
        return response.status(status)
                .header(HttpHeaderNames.CONTENT_TYPE, type)
                .header(HttpHeaderNames.CONTENT_LENGTH, String.valueOf(body.length));
    }

    private boolean hasBody() {
        return contentLength() > 0 || request.requestHeaders().contains(HttpHeaderNames.TRANSFER_ENCODING);
    }

    private long contentLength() {
        try {
            return Long.parseLong(request.requestHeaders().get(HttpHeaderNames.CONTENT_LENGTH, "0"));
        } catch (NumberFormatException e) {
            throw Problem.of(400, "bad_request", "Content-Length is no number");
        }
    }

    private static Problem tooLarge(long maxBytes) {
        return Problem.of(413, "too_large", "the body is larger than " + maxBytes + " bytes")
                .with("maxBytes", maxBytes);
    }

    /**
     * Text that was percent-encoded UTF-8.
     *
     * @throws Problem if it is not
     */
    static String decode(String text) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c != '%') {
                bytes.writeBytes(String.valueOf(c).getBytes(StandardCharsets.UTF_8));
                continue;
            }
            int high = digit(text, i + 1);
            int low = digit(text, i + 2);
            if (high < 0 || low < 0) {
                throw Problem.of(400, "bad_request", "a percent sign in the URL is not followed by two hex digits");
            }
            bytes.write(16 * high + low);
            i += 2;
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes.toByteArray()))
                    .toString();
        } catch (CharacterCodingException e) {
            throw Problem.of(400, "bad_request", "the URL is not percent-encoded UTF-8");
        }
    }

    private static int digit(String text, int at) {
        return at < text.length() ? Character.digit(text.charAt(at), 16) : -1;
    }

    /** A text among the fields of a body. */
    static @Nullable String text(Map<String, @Nullable Object> body, String field) {
        Object value = body.get(field);
        if (value == null || value instanceof String) {
            return (String) value;
        }
        throw Problem.of(400, "bad_request", field + " must be text");
    }
}
