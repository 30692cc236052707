package io.millrace.stream;

import io.millrace.lock.GroupKeys;
import io.millrace.lock.LockKeys;
import io.millrace.redis.Keys;
import java.nio.charset.StandardCharsets;

/**
 * Where one shard of a stream is kept.
 *
 * @param stream its name
 * @param shard number of the shard, from 0
 * @param log key of the entries
 * @param unit what all other keys of the shard begin with
 * @param offsets what keys of offsets begin with; the consumer's name follows
 * @param locks what keys of locks begin with; the consumer's name follows
 * @param ruby whether the Ruby library shares them: it waits for locks with BRPOP, and has a stream of what is delayed
 */
record StreamKeys(String stream, int shard, String log, String unit, String offsets, String locks, boolean ruby) {

    static StreamKeys of(Keys keys, String stream, int shard) {
        named("stream", stream);
        String unit = keys.unitText("stream", stream, shard);
        return new StreamKeys(stream, shard, unit + "log", unit, unit + "offset:", unit + "lock:", false);
    }

    /** As the Ruby library redstream names them. Not all in one slot: not for a cluster. */
    static StreamKeys ofRuby(String namespace, String stream) {
        named("stream", stream);
        String prefix = (namespace.isEmpty() ? "" : namespace + ":") + "redstream:";
        return new StreamKeys(
                stream,
                0,
                prefix + "stream:" + stream,
                prefix + "millrace:" + stream + ":",
                prefix + "offset:" + stream + ":",
                prefix + "lock:consumer:" + stream + ":",
                true);
    }

    byte[] logKey() {
        return bytes(log);
    }

    byte[] unitKey() {
        return bytes(unit);
    }

    /** What the Ruby library has delayed; only there. */
    byte[] delayed() {
        return bytes(log + ".delay");
    }

    byte[] offset(String consumer) {
        return bytes(offsets + consumer);
    }

    byte[] dead(String consumer) {
        return bytes(unit + "dead:" + consumer);
    }

    LockKeys lock(String consumer) {
        return new LockKeys(
                stream + "/" + consumer,
                bytes(locks + consumer),
                bytes(unit + "fence:" + consumer),
                ruby ? bytes(locks + consumer + ".notify") : null);
    }

    /** Of the members of a consumer that read all shards; in the slot of this one. */
    GroupKeys group(String consumer) {
        return new GroupKeys(
                stream + "/" + consumer, bytes(unit + "members:" + consumer), bytes(unit + "order:" + consumer));
    }

    /** Refuses an empty name. */
    static String named(String what, String name) {
        if (name.isEmpty()) {
            throw new IllegalArgumentException("a " + what + " needs a name; it was empty");
        }
        return name;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static byte[] bytes(long number) {
        return Long.toString(number).getBytes(StandardCharsets.US_ASCII);
    }
}
