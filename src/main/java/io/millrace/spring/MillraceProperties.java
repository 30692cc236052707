package io.millrace.spring;

import io.millrace.stream.ReplicaWait;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * What an application's {@code millrace.*} says. What is not there keeps the default of {@link io.millrace.redis.RedisSettings}.
 *
 * @param redis where Redis is: redis://, rediss://, redis-sentinel:// or redis-cluster://; without it there is no Millrace bean
 * @param namespace what all keys and channels begin with
 * @param commandTimeout how long one command may take
 * @param requestQueueSize how many commands may wait for an answer on one connection
 * @param shutdownTimeout how long the end of the application waits for connections to close
 * @param streams the streams of declared entities
 */
@ConfigurationProperties("millrace")
public record MillraceProperties(
        @Nullable String redis,
        @Nullable String namespace,
        @Nullable Duration commandTimeout,
        @Nullable Integer requestQueueSize,
        @DefaultValue("10s") Duration shutdownTimeout,
        @DefaultValue Streams streams) {

    /**
     * What {@code millrace.streams.*} says.
     *
     * @param repairAfter when repair notes are due, longer than the longest transaction; without it no delayer and no trimmer run here
     * @param noteTimeout how long a commit of JPA may wait for its repair notes
     * @param replicas what replicas must have; without it nothing waits for them
     */
    public record Streams(
            @Nullable Duration repairAfter,
            @DefaultValue("5s") Duration noteTimeout,
            @Nullable Replicas replicas) {}

    /**
     * What {@code millrace.streams.replicas.*} says, see {@link ReplicaWait}.
     *
     * @param count how many replicas at least
     * @param atMost how long to wait for them; shorter than {@code note-timeout}
     * @param failing whether fewer make a save, or a commit, fail; else they are a warning in the log
     */
    public record Replicas(
            int count,
            @DefaultValue("1s") Duration atMost,
            @DefaultValue("true") boolean failing) {

        ReplicaWait toWait() {
            return new ReplicaWait(count, atMost, failing);
        }
    }

    /** Never the address: it may hold a password. */
    @Override
    public String toString() {
        return "MillraceProperties[namespace=" + namespace + ", streams=" + streams + "]";
    }
}
