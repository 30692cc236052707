package io.millrace.drain;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Who we are to which host, for those who fetch resources: a user and a password go to exactly the host they are meant for, over TLS,
 * and to nobody else. The Ruby drain took the host for a regular expression that could match anywhere in a name, so that a stranger's
 * host got them too. Immutable; nothing shows a password.
 */
public final class HostCredentials {

    private static final int HTTPS = 443;

    private static final Pattern HOST = Pattern.compile(
            "(?<name>[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)|\\[(?<bracketed>[a-z0-9.-]{1,253}):(?<port>[0-9]{1,5})]");

    private final Map<String, String> byHost;

    private HostCredentials(Map<String, String> byHost) {
        this.byHost = Map.copyOf(byHost);
    }

    /**
     * Reads a list such as {@code server1.example.com:user:p4ss,[server2.example.com:8443]:user:p4:ss}: a comma between two, host, user and
     * password with colons between; what follows the second colon is the password as a whole. A port other than 443 stands with its host
     * in brackets.
     *
     * @throws IllegalArgumentException if one is none; a password is not shown
     */
    public static HostCredentials of(@Nullable String list) {
        Map<String, String> byHost = new HashMap<>();
        for (String one : (list == null ? "" : list).split(",", -1)) {
            if (!one.isBlank()) {
                read(one.trim(), byHost);
            }
        }
        return new HostCredentials(byHost);
    }

    private static void read(String one, Map<String, String> byHost) {
        int host = one.indexOf(':', Math.max(0, one.startsWith("[") ? one.indexOf(']') : 0));
        int user = host < 0 ? -1 : one.indexOf(':', host + 1);
        if (user < 0) {
            throw new IllegalArgumentException("credentials are host:user:password with commas between; number "
                    + (byHost.size() + 1) + " is not");
        }
        String name = one.substring(0, host).toLowerCase(Locale.ROOT);
        var parts = HOST.matcher(name);
        if (!parts.matches()) {
            throw new IllegalArgumentException(
                    "\"" + name + "\" is no host name; a pattern would send credentials to strangers: name each host");
        }
        int port = parts.group("port") == null ? HTTPS : Integer.parseInt(parts.group("port"));
        if (port < 1 || port > 65_535) {
            throw new IllegalArgumentException("the port of \"" + name + "\" must be 1 to 65535");
        }
        String key = (parts.group("name") != null ? name : parts.group("bracketed")) + ":" + port;
        String basic = "Basic "
                + Base64.getEncoder().encodeToString(one.substring(host + 1).getBytes(StandardCharsets.UTF_8));
        if (byHost.putIfAbsent(key, basic) != null) {
            throw new IllegalArgumentException("there are two credentials for \"" + key + "\"");
        }
    }

    /**
     * The header to send with a request.
     *
     * @return {@code Basic …}; {@code null} if there is none for that very host and port, or the address is not {@code https}: then send
     *     no header at all
     */
    public @Nullable String authorization(URI address) {
        String host = address.getHost();
        if (host == null || !"https".equalsIgnoreCase(address.getScheme())) {
            return null;
        }
        int port = address.getPort() < 0 ? HTTPS : address.getPort();
        return byHost.get(host.toLowerCase(Locale.ROOT) + ":" + port);
    }

    /** How many hosts have some. */
    public int size() {
        return byHost.size();
    }

    /** Never a password. */
    @Override
    public String toString() {
        return "HostCredentials" + byHost.keySet();
    }
}
