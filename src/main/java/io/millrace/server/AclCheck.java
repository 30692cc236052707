package io.millrace.server;

import io.millrace.MillraceException;
import io.millrace.redis.Redis;
import io.millrace.server.ServerDoctor.Finding;
import io.millrace.server.ServerDoctor.Level;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Whether a server's user may do what Millrace does; tried without doing it. */
final class AclCheck {

    /** What Millrace sends, each with arguments that a server accepts in ACL DRYRUN. {@code %s} is a key of the namespace. */
    private static final List<List<String>> COMMANDS = List.of(
            List.of("EVALSHA", "0000000000000000000000000000000000000000", "1", "%s"),
            List.of("EVAL", "return 1", "1", "%s"),
            List.of("LPUSH", "%s", "x"),
            List.of("ZADD", "%s", "1", "x"),
            List.of("HSET", "%s", "f", "x"),
            List.of("XADD", "%s", "*", "f", "x"),
            List.of("XAUTOCLAIM", "%s", "g", "c", "1", "0"),
            List.of("UNLINK", "%s"),
            List.of("PUBLISH", "%s", "x"),
            List.of("SUBSCRIBE", "%s"),
            List.of("SSUBSCRIBE", "%s"),
            List.of("PSUBSCRIBE", "%s*"),
            List.of("SCAN", "0"),
            List.of("TIME"),
            List.of("PING"));

    private final Redis redis;

    AclCheck(Redis redis) {
        this.redis = redis;
    }

    /** The ACL rule a user for this namespace needs. */
    static String line(String namespace) {
        String keys = namespace.isEmpty() ? "~*" : "~" + namespace + ":*";
        String channels = namespace.isEmpty() ? "&*" : "&" + namespace + ":*";
        return "ACL SETUSER millrace on >PASSWORD resetkeys " + keys + " resetchannels " + channels
                + " -@all +@connection +@read +@write +@scripting +@pubsub +@transaction +@blocking -@dangerous"
                + " -function -script|flush -script|kill +info +wait +time"
                + " +cluster|slots +cluster|shards +cluster|nodes +cluster|info +cluster|myid";
    }

    /** What this user lacks. */
    Mono<Finding> finding() {
        return redis.call("ACL", "WHOAMI")
                .flatMap(user -> Flux.fromIterable(COMMANDS)
                        .concatMap(command -> refusal(text(user), command))
                        .collectList()
                        .map(refused -> judged(text(user), refused)))
                .onErrorResume(MillraceException.class, e -> Mono.just(Finding.unknown("acl")));
    }

    private Finding judged(String user, List<String> refused) {
        String line = line(redis.keys().namespace());
        if (!refused.isEmpty()) {
            return new Finding(
                    "acl",
                    Level.ERROR,
                    user + " may not " + String.join(", ", refused),
                    "Commands that Millrace sends are refused for this user.",
                    "Allow what is needed: " + line);
        }
        return user.equals("default")
                ? new Finding(
                        "acl",
                        Level.OK,
                        user,
                        "The default user, who usually may do everything.",
                        "Where others use this server too, make a user for Millrace: " + line)
                : Finding.ok("acl", user, "This user may do what Millrace needs.");
    }

    /** The name of the command if it would be refused, else empty. */
    private Mono<String> refusal(String user, List<String> command) {
        String key = redis.keys().unitText("queue", "doctor", 0) + "probe";
        List<Object> words = new ArrayList<>(List.of("DRYRUN", user));
        command.forEach(word -> words.add(word.replace("%s", key)));
        return redis.call("ACL", words.toArray())
                .map(AclCheck::text)
                .filter(answer -> !answer.equals("OK"))
                .map(answer -> command.get(0));
    }

    static String text(Object answer) {
        return answer instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : String.valueOf(answer);
    }
}
