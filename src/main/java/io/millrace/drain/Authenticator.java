package io.millrace.drain;

import java.nio.charset.StandardCharsets;
import java.security.InvalidKeyException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * Who may send: holders of a token (HTTP Basic, the token being the user; the password does not matter), or of a secret to sign with
 * (Standard Webhooks). Every comparison takes the same time, whichever of several keys fits and wherever a wrong one differs.
 */
final class Authenticator {

    /** How far a signature's time may be from this machine's. */
    static final Duration TOLERANCE = Duration.ofMinutes(5);

    /** How many signatures of one message are looked at. */
    private static final int MAX_SIGNATURES = 16;

    private static final int MAX_ID = 256;
    private static final String BASIC = "basic ";
    private static final String SECRET = "whsec_";

    private final List<byte[]> tokens;
    private final List<byte[]> secrets;

    private Authenticator(List<byte[]> tokens, List<byte[]> secrets) {
        this.tokens = tokens;
        this.secrets = secrets;
    }

    /**
     * @param tokens as they are
     * @param secrets {@code whsec_} and 24 to 64 bytes in base64
     * @throws IllegalArgumentException if one is none; it is not shown
     */
    static Authenticator of(List<String> tokens, List<String> secrets) {
        List<byte[]> digests = new ArrayList<>();
        for (String token : tokens) {
            if (token.isBlank()) {
                throw new IllegalArgumentException("a token must not be empty: everybody would have it");
            }
            digests.add(digest(token.getBytes(StandardCharsets.UTF_8)));
        }
        return new Authenticator(
                List.copyOf(digests),
                secrets.stream().map(Authenticator::secret).toList());
    }

    boolean hasTokens() {
        return !tokens.isEmpty();
    }

    boolean hasSecrets() {
        return !secrets.isEmpty();
    }

    /** Judges an {@code Authorization} header. */
    Authentication basic(@Nullable String authorization) {
        if (authorization == null || authorization.isBlank()) {
            return Authentication.missing("there is no Authorization");
        }
        if (!authorization.toLowerCase(Locale.ROOT).startsWith(BASIC)) {
            return Authentication.missing("Authorization must be of the scheme Basic");
        }
        byte[] user;
        try {
            user = user(Base64.getDecoder()
                    .decode(authorization.substring(BASIC.length()).trim()));
        } catch (IllegalArgumentException e) {
            return Authentication.refused("basic", "the credentials are not base64");
        }
        byte[] given = digest(user);
        int fits = -1;
        for (int i = 0; i < tokens.size(); i++) {
            if (MessageDigest.isEqual(given, tokens.get(i))) {
                fits = i; // and on through the others
            }
        }
        return fits < 0
                ? Authentication.refused("basic", "the token is not known")
                : Authentication.accepted("basic", fits);
    }

    /** Judges what can be judged of a signed message before its body is read; {@code null}: it is worth reading. */
    @Nullable
    Authentication beforeBody(@Nullable String id, @Nullable String timestamp, @Nullable String signature, long nowMs) {
        if (id == null || timestamp == null || signature == null) {
            return Authentication.missing("webhook-id, webhook-timestamp and webhook-signature belong together");
        }
        if (id.isEmpty() || id.length() > MAX_ID || id.indexOf('.') >= 0) {
            return Authentication.refused(
                    "signature", "webhook-id must have 1 to " + MAX_ID + " characters, no period");
        }
        if (!timestamp.matches("\\d{1,12}")) {
            return Authentication.refused("signature", "webhook-timestamp must be seconds since 1970");
        }
        long apart = Math.abs(nowMs - Long.parseLong(timestamp) * 1000);
        return apart > TOLERANCE.toMillis()
                ? Authentication.refused(
                        "signature", "webhook-timestamp is more than " + TOLERANCE.toMinutes() + " min from now")
                : null;
    }

    /** Judges the signatures of a message that {@link #beforeBody} let through. */
    Authentication signed(String id, String timestamp, String signatures, byte[] body) {
        List<byte[]> expected = new ArrayList<>();
        for (byte[] secret : secrets) {
            expected.add(signature(secret, id, timestamp, body));
        }
        int fits = -1;
        String[] given = signatures.trim().split(" +", MAX_SIGNATURES + 1);
        for (int s = 0; s < Math.min(given.length, MAX_SIGNATURES); s++) {
            byte[] one = given[s].startsWith("v1,") ? decode(given[s].substring(3)) : new byte[0];
            for (int i = 0; i < expected.size(); i++) {
                if (MessageDigest.isEqual(expected.get(i), one)) {
                    fits = i;
                }
            }
        }
        return fits < 0
                ? Authentication.refused("signature", "no signature fits")
                : Authentication.accepted("signature", fits);
    }

    private static byte[] signature(byte[] secret, String id, String timestamp, byte[] body) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(secret, "HmacSHA256"));
            mac.update((id + '.' + timestamp + '.').getBytes(StandardCharsets.UTF_8));
            return mac.doFinal(body);
        } catch (NoSuchAlgorithmException | InvalidKeyException e) {
            throw new IllegalStateException("every Java has HmacSHA256", e);
        }
    }

    private static byte[] secret(String secret) {
        byte[] bytes = secret.startsWith(SECRET) ? decode(secret.substring(SECRET.length())) : new byte[0];
        if (bytes.length < 24 || bytes.length > 64) {
            throw new IllegalArgumentException("a webhook secret is whsec_ and 24 to 64 bytes in base64; make one with:"
                    + " echo whsec_$(openssl rand -base64 32)");
        }
        return bytes;
    }

    /** Empty if it is not base64. */
    private static byte[] decode(String base64) {
        try {
            return Base64.getDecoder().decode(base64);
        } catch (IllegalArgumentException e) {
            return new byte[0];
        }
    }

    private static byte[] user(byte[] credentials) {
        int colon = 0;
        while (colon < credentials.length && credentials[colon] != ':') {
            colon++;
        }
        return java.util.Arrays.copyOf(credentials, colon);
    }

    private static byte[] digest(byte[] token) {
        return Digests.sha256().digest(token);
    }
}
