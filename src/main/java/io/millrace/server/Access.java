package io.millrace.server;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Who may ask. With a token: who has it. Without: programs on this machine, but no web page that a browser here shows. */
final class Access {

    private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]");
    private static final String BEARER = "bearer ";

    private final byte @Nullable [] tokenDigest;
    private final String host;

    Access(ServerSettings settings) {
        String token = settings.token();
        this.tokenDigest = token == null ? null : digest(token);
        this.host = settings.host().toLowerCase(Locale.ROOT);
    }

    /** @throws Problem if this request must not be answered */
    void check(String method, HttpHeaders headers, Router.Kind kind) {
        String site = headers.get("Sec-Fetch-Site", "none");
        boolean safe = method.equals("GET") || method.equals("HEAD");
        if (!safe && !site.equals("none") && !site.equals("same-origin")) {
            throw Problem.of(403, "cross_site", "this request was made by a web page of another site");
        }
        if (kind == Router.Kind.OPEN) {
            return;
        }
        if (tokenDigest == null) {
            checkHost(headers);
            return;
        }
        String authorization = headers.get(HttpHeaderNames.AUTHORIZATION, "");
        if (!authorization.toLowerCase(Locale.ROOT).startsWith(BEARER)) {
            throw Problem.of(401, "token_required", "this server needs a token: Authorization: Bearer TOKEN")
                    .header("WWW-Authenticate", "Bearer realm=\"millrace\"");
        }
        byte[] given = digest(authorization.substring(BEARER.length()).trim());
        if (!MessageDigest.isEqual(given, tokenDigest)) {
            throw Problem.of(403, "token_refused", "the token is not the one of this server");
        }
    }

    /** A page whose name was made to lead to this machine (DNS rebinding) still sends its own name as host. */
    private void checkHost(HttpHeaders headers) {
        String given = headers.get(HttpHeaderNames.HOST, "").toLowerCase(Locale.ROOT);
        String name = given.replaceFirst(":\\d*$", "");
        if (!LOOPBACK.contains(name) && !name.equals(host)) {
            throw Problem.of(
                    403,
                    "host_not_allowed",
                    "without a token this server answers to localhost only, the request was for \"" + name + "\"");
        }
    }

    private static byte[] digest(String text) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
