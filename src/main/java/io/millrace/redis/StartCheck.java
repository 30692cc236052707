package io.millrace.redis;

import io.millrace.RedisRefusedException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/** Warns, once, of a server that may lose what it was given although nothing fails. {@code doctor} looks at much more. */
final class StartCheck {

    private static final Logger log = LoggerFactory.getLogger(StartCheck.class);

    private volatile boolean done;

    /** Looks, unless it has; what may not be asked is not told. Never fails. */
    Mono<Void> once(Mono<Object> info) {
        return Mono.defer(() -> done ? Mono.empty() : info)
                .doOnNext(answer -> {
                    done = true;
                    if (answer instanceof byte[] text) {
                        warnings(new String(text, StandardCharsets.UTF_8)).forEach(log::warn);
                    }
                })
                .onErrorResume(error -> {
                    done = error instanceof RedisRefusedException; // it may not be asked
                    return Mono.empty();
                })
                .then();
    }

    /** What is wrong with a server that answers so to INFO. */
    static List<String> warnings(String info) {
        Map<String, String> fields = new HashMap<>();
        info.lines().filter(line -> line.contains(":")).forEach(line -> {
            int colon = line.indexOf(':');
            fields.put(line.substring(0, colon), line.substring(colon + 1).trim());
        });
        List<String> warnings = new ArrayList<>();
        String policy = fields.getOrDefault("maxmemory_policy", "noeviction");
        if (!policy.equals("noeviction")) {
            warnings.add("Redis has maxmemory-policy " + policy
                    + ": when memory is full it throws keys away, and messages vanish without a trace; set noeviction");
        }
        if (fields.getOrDefault("aof_enabled", "1").equals("0")) {
            warnings.add("Redis has no append-only file: what came since the last snapshot is gone when it restarts;"
                    + " set appendonly yes");
        }
        if (fields.getOrDefault("role", "master").equals("slave")) {
            warnings.add("Redis is a replica: it refuses writes, or loses them; connect to its master");
        }
        return warnings;
    }
}
