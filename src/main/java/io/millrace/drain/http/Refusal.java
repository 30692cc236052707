package io.millrace.drain.http;

import io.millrace.MalformedEventException;
import io.millrace.OverloadedException;
import io.millrace.RedisRefusedException;
import io.millrace.RedisUnavailableException;
import io.millrace.json.Json;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.timeout.ReadTimeoutException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Why a batch is not accepted, as RFC 9457 wants it told. Thrown where the reason is found, answered in one place. */
final class Refusal extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final int status;
    private final String code;
    private final Map<String, String> headers = new LinkedHashMap<>();

    private Refusal(int status, String code, String reason) {
        super(Json.legal(reason), null, false, false); // an answer, not a defect: no stack trace
        this.status = status;
        this.code = code;
    }

    static Refusal of(int status, String code, String reason) {
        return new Refusal(status, code, reason);
    }

    static Refusal tooLarge(int most) {
        return of(413, "too_large", "the body is larger than " + most + " bytes; send smaller batches");
    }

    static Refusal tooSlow(long seconds) {
        return of(408, "request_timeout", "the body did not come within " + seconds + " s");
    }

    static Refusal overloaded(String reason) {
        return of(503, "overloaded", reason).header("Retry-After", "1");
    }

    /** Any failure as a refusal; what is a defect of ours is told without details. */
    static Refusal from(Throwable failure) {
        if (failure instanceof Refusal refusal) {
            return refusal;
        }
        String reason = String.valueOf(failure.getMessage());
        if (failure instanceof MalformedEventException) {
            return of(400, "malformed_batch", reason);
        }
        if (failure instanceof OverloadedException) {
            return overloaded(reason);
        }
        if (failure instanceof RedisUnavailableException || failure instanceof RedisRefusedException) {
            return of(503, "not_stored", "the batch could not be stored; send it again")
                    .header("Retry-After", "1");
        }
        if (failure instanceof ReadTimeoutException) {
            return of(408, "request_timeout", "the rest of the request did not come in time");
        }
        return of(500, "internal", "the server met a condition it does not know; its log says more");
    }

    Refusal header(String name, String value) {
        headers.put(name, value);
        return this;
    }

    int status() {
        return status;
    }

    Map<String, String> headers() {
        return headers;
    }

    /** Whether a body may not have been read to its end when this was found. */
    boolean leavesBody() {
        return status != 400;
    }

    /** As it is sent. */
    Map<String, @Nullable Object> shape(String instance) {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("type", "urn:millrace:problem:" + code);
        shape.put("title", HttpResponseStatus.valueOf(status).reasonPhrase());
        shape.put("status", status);
        shape.put("detail", getMessage());
        shape.put("instance", instance);
        shape.put("code", code);
        shape.put("retryable", status == 503 || status == 408);
        return shape;
    }
}
