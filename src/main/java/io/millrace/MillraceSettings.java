package io.millrace;

import io.millrace.queue.QueueSettings;
import io.millrace.redis.RedisSettings;

/**
 * Everything that can be set, by part. Immutable.
 *
 * @param redis where Redis is and how to talk to it
 * @param queues what holds for all queues
 */
public record MillraceSettings(RedisSettings redis, QueueSettings queues) {

    /** An address, everything else by default. */
    public static MillraceSettings of(String redisAddress) {
        return of(RedisSettings.of(redisAddress));
    }

    /** Redis as given, everything else by default. */
    public static MillraceSettings of(RedisSettings redis) {
        return new MillraceSettings(redis, QueueSettings.defaults());
    }

    /** The same with other settings for queues. */
    public MillraceSettings withQueues(QueueSettings newQueues) {
        return new MillraceSettings(redis, newQueues);
    }
}
