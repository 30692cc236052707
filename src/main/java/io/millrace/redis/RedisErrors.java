package io.millrace.redis;

import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisCommandTimeoutException;
import io.lettuce.core.RedisConnectionException;
import io.lettuce.core.RedisException;
import io.lettuce.core.RedisNoScriptException;
import io.lettuce.core.cluster.PartitionException;
import io.millrace.MillraceException;
import io.millrace.OverloadedException;
import io.millrace.RedisRefusedException;
import io.millrace.RedisUnavailableException;
import io.netty.handler.codec.CodecException;
import java.io.IOException;
import java.net.ConnectException;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * What each kind of Redis error means: one row a kind, the first word of the answer being the key, or all of it.
 *
 * <p>{@link Recovery#RETRY}: passes by itself, the same command may be sent again. {@link Recovery#RELOAD}: something the client
 * holds is outdated (script cache, topology, which node is master); renew it, then send again. {@link Recovery#FAIL}: tell the caller.
 */
public final class RedisErrors {

    /** What to do about an error. */
    public enum Recovery {
        /** Send the same command again, after a pause. */
        RETRY,
        /** Renew what the client holds, then send again. */
        RELOAD,
        /** Tell the caller. */
        FAIL
    }

    /**
     * @param recovery what to do
     * @param advice what it means, for the message; the way out first of all
     */
    private record Row(Recovery recovery, String advice) {}

    private static final Map<String, Row> TABLE = Map.ofEntries(
            Map.entry("NOSCRIPT", new Row(Recovery.RELOAD, "the server lost its scripts (restart or failover)")),
            Map.entry("MOVED", new Row(Recovery.RELOAD, "the slot moved to another node")),
            Map.entry("ASK", new Row(Recovery.RELOAD, "the slot is moving to another node")),
            Map.entry("READONLY", new Row(Recovery.RELOAD, "this node is a replica now; connect to the master")),
            Map.entry(
                    "TRYAGAIN",
                    new Row(
                            Recovery.RETRY,
                            "the slot is moving to another node; it is served again once all of it is there")),
            Map.entry("LOADING", new Row(Recovery.RETRY, "the server is reading its data from disk")),
            Map.entry("BUSY", new Row(Recovery.RETRY, "the server is busy with a slow script")),
            Map.entry("CLUSTERDOWN", new Row(Recovery.RETRY, "the cluster misses a master")),
            Map.entry("MASTERDOWN", new Row(Recovery.RETRY, "the replica lost its master")),
            Map.entry("UNBLOCKED", new Row(Recovery.RETRY, "a blocking read was ended by a change of role")),
            Map.entry(
                    "ERR max number of clients reached",
                    new Row(
                            Recovery.RETRY,
                            "the server has as many connections as it may; close some, or raise maxclients")),
            Map.entry("NOREPLICAS", new Row(Recovery.FAIL, "too few replicas in step; see min-replicas-to-write")),
            Map.entry(
                    "MISCONF",
                    new Row(Recovery.FAIL, "the server cannot save to disk and refuses writes; see its log")),
            Map.entry("OOM", new Row(Recovery.FAIL, "memory is full; drain queues or raise maxmemory")),
            Map.entry("NOAUTH", new Row(Recovery.FAIL, "credentials are needed; give user and password in the URL")),
            Map.entry("WRONGPASS", new Row(Recovery.FAIL, "user or password is wrong")),
            Map.entry(
                    "NOPERM", new Row(Recovery.FAIL, "the user may not do this; run doctor for the ACL line it needs")),
            Map.entry(
                    "WRONGTYPE",
                    new Row(Recovery.FAIL, "a key of this namespace holds something else; use another namespace")),
            Map.entry("CROSSSLOT", new Row(Recovery.FAIL, "the keys of one script are on several slots")),
            Map.entry("EXECABORT", new Row(Recovery.FAIL, "a transaction was refused")),
            Map.entry("ERR", new Row(Recovery.FAIL, "the command was refused")));

    /** What a cluster's node says of a slot that is on its way to another one. */
    private static final Set<String> MOVING = Set.of("TRYAGAIN", "ASK", "MOVED");

    /** What is refused now and may be granted later without anybody changing the call. */
    private static final Set<String> PASSING = Set.of("OOM", "NOREPLICAS", "MISCONF");

    private static final String MUTE = " (a server with TLS at this port wants rediss://, one without wants redis://)";

    private static final Row UNKNOWN = new Row(Recovery.FAIL, "the server answered with an error");

    private RedisErrors() {}

    /** What to do about an error of the driver. */
    public static Recovery recovery(Throwable error) {
        if (error instanceof RedisNoScriptException) {
            return Recovery.RELOAD;
        }
        if (error instanceof RedisCommandExecutionException) {
            return row(error).recovery();
        }
        return lostAnswer(error) ? Recovery.RETRY : Recovery.FAIL;
    }

    /** An error of the driver as one of Millrace's. Others pass unchanged. */
    public static Throwable translate(Throwable error) {
        if (error instanceof MillraceException) {
            return error;
        }
        if (error instanceof RedisCommandTimeoutException || error instanceof TimeoutException) {
            return new RedisUnavailableException("Redis did not answer in time: " + error.getMessage(), true, error);
        }
        if (error instanceof RedisCommandExecutionException) {
            Row row = row(error);
            String message = "Redis refused: " + error.getMessage() + " (" + row.advice() + ")";
            return row.recovery() == Recovery.FAIL
                    ? new RedisRefusedException(code(error), message, PASSING.contains(code(error)), error)
                    : new RedisUnavailableException(message, false, error);
        }
        if (error instanceof RedisConnectionException || error instanceof PartitionException) {
            Throwable root = root(error);
            if (root instanceof RedisCommandExecutionException) {
                return translate(root); // credentials refused while connecting, for example
            }
            Throwable tls = TlsErrors.translate(error);
            if (tls != null) {
                return tls;
            }
            return new RedisUnavailableException(
                    "Redis cannot be reached: " + root.getMessage() + (isMute(root) ? MUTE : ""), false, error);
        }
        if (isQueueFull(error)) {
            return new OverloadedException("too many commands wait for Redis in this process: " + error.getMessage());
        }
        if (error instanceof RedisException || error instanceof IOException || isTorn(error)) {
            boolean sent = lostAnswer(error);
            return new RedisUnavailableException(
                    (sent ? "The connection to Redis broke before the answer came: " : "Redis is not connected: ")
                            + error.getMessage(),
                    sent,
                    error);
        }
        return error;
    }

    /** As {@link #translate(Throwable)}, after earlier tries of which one may have run. */
    static Throwable translate(Throwable error, boolean sentBefore) {
        Throwable translated = translate(error);
        return sentBefore && translated instanceof RedisUnavailableException away && !away.indeterminate()
                ? new RedisUnavailableException(
                        away.getMessage() + "; an earlier try may have been carried out", true, error)
                : translated;
    }

    /** Whether a slot is on its way to another node: nothing was done, and nothing will be before it is there. */
    static boolean isMoving(Throwable error) {
        return error instanceof RedisCommandExecutionException && MOVING.contains(code(error));
    }

    /** Whether the command may have been carried out although it failed. */
    static boolean isLostAnswer(Throwable error) {
        return !(error instanceof RedisCommandExecutionException) && lostAnswer(error);
    }

    /** The first word of what the server answered. */
    static String code(Throwable error) {
        String message = String.valueOf(error.getMessage());
        int space = message.indexOf(' ');
        String word = space < 0 ? message : message.substring(0, space);
        boolean isCode = !word.isEmpty() && word.equals(word.toUpperCase(Locale.ROOT));
        return isCode ? word : "ERR";
    }

    /** Whether the command went out and only its answer is missing, as far as the driver tells. */
    private static boolean lostAnswer(Throwable error) {
        if (error instanceof RedisCommandTimeoutException || error instanceof IOException || isTorn(error)) {
            return true;
        }
        return error instanceof RedisException
                && !(error instanceof RedisConnectionException)
                && !isRejected(error)
                && !isQueueFull(error);
    }

    /** Whether writing or reading failed half-way for reasons of this process; the connection is closed then. */
    private static boolean isTorn(Throwable error) {
        return error instanceof CodecException || error instanceof OutOfMemoryError;
    }

    /** Whether the driver did not take the command because too many wait. */
    private static boolean isQueueFull(Throwable error) {
        return error instanceof RedisException
                && error.getMessage() != null
                && error.getMessage().contains("queue size exceeded");
    }

    /** Whether the command certainly changed nothing: the server refused it, or never got it. */
    static boolean hasNotRun(Throwable error) {
        return error instanceof RedisCommandExecutionException || isRejected(error);
    }

    /** Whether the driver did not send the command because its connection is away. */
    static boolean isRejected(Throwable error) {
        return error instanceof RedisException
                && error.getMessage() != null
                && error.getMessage().contains("Commands are rejected");
    }

    private static Row row(Throwable error) {
        Row whole = TABLE.get(String.valueOf(error.getMessage()));
        return whole == null ? TABLE.getOrDefault(code(error), UNKNOWN) : whole;
    }

    /** Whether somebody took the connection and then said nothing, or hung up. */
    private static boolean isMute(Throwable root) {
        return root instanceof RedisConnectionException
                || root instanceof RedisCommandTimeoutException
                || root instanceof IllegalStateException // it closed before the driver looked for its handlers
                || (root instanceof IOException && !(root instanceof ConnectException));
    }

    private static Throwable root(Throwable error) {
        @Nullable Throwable cause = error.getCause();
        return cause == null || cause == error ? error : root(cause);
    }
}
