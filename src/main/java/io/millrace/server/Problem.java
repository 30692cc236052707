package io.millrace.server;

import io.millrace.MalformedEventException;
import io.millrace.MillraceException;
import io.millrace.OverloadedException;
import io.millrace.RedisRefusedException;
import io.millrace.RedisUnavailableException;
import io.millrace.json.Json;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.timeout.ReadTimeoutException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Why a request failed, as RFC 9457 wants it told. Thrown where the failure is found, answered in one place. */
final class Problem extends RuntimeException {

    private static final long serialVersionUID = 1L;
    private static final Logger log = LoggerFactory.getLogger(Problem.class);

    private final int status;
    private final String code;
    private final boolean retryable;
    private final Map<String, String> headers = new LinkedHashMap<>();
    private final Map<String, @Nullable Object> extensions = new LinkedHashMap<>();

    private Problem(int status, String code, boolean retryable, String detail) {
        super(Json.legal(detail), null, false, false); // an answer, not a defect: no stack trace
        this.status = status;
        this.code = code;
        this.retryable = retryable;
        if (status == 503 || status == 507) {
            headers.put("Retry-After", "1");
        }
    }

    /** A failure that the same request would meet again. */
    static Problem of(int status, String code, String detail) {
        return new Problem(status, code, false, detail);
    }

    /** A failure that may be gone the next time. */
    static Problem passing(int status, String code, String detail) {
        return new Problem(status, code, true, detail);
    }

    /** Any failure as a problem; what is a defect of ours is logged and told without details. */
    static Problem from(Throwable failure) {
        if (failure instanceof Problem problem) {
            return problem;
        }
        String detail = String.valueOf(failure.getMessage());
        if (failure instanceof RedisUnavailableException) {
            return passing(503, "redis_unavailable", detail);
        }
        if (failure instanceof OverloadedException) {
            return passing(503, "overloaded", detail);
        }
        if (failure instanceof RedisRefusedException refused) {
            return refused.code().equals("OOM")
                    ? passing(507, "storage_full", detail)
                    : new Problem(503, "redis_refused", refused.retryable(), detail);
        }
        if (failure instanceof MalformedEventException) {
            return of(400, "malformed_event", detail);
        }
        if (failure instanceof MillraceException || failure instanceof IllegalArgumentException) {
            return of(400, "bad_request", detail);
        }
        if (failure instanceof ReadTimeoutException) {
            return passing(408, "request_timeout", "the rest of the request did not come in time");
        }
        log.error("a request failed for no known reason", failure);
        return of(500, "internal", "the server met a condition it does not know; its log says more");
    }

    /** With one header more. */
    Problem header(String name, String value) {
        headers.put(name, value);
        return this;
    }

    /** With one field more. */
    Problem with(String field, @Nullable Object value) {
        extensions.put(field, value);
        return this;
    }

    int status() {
        return status;
    }

    Map<String, String> headers() {
        return headers;
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
        shape.put("retryable", retryable);
        shape.putAll(extensions);
        return shape;
    }
}
