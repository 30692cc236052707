package io.millrace.testing;

import io.millrace.redis.embedded.EmbeddedRedis;

/** The shared Redis as a process of this machine. */
record ProcessRedis(EmbeddedRedis redis) implements RedisServer {

    ProcessRedis() {
        this(EmbeddedRedis.builder().startNow());
    }

    @Override
    public String uri() {
        return redis.uri();
    }

    @Override
    public String describe() {
        return "process " + redis.pid() + ", " + RedisAdmin.version(uri()) + ", " + uri();
    }

    @Override
    public void close() {
        redis.close();
    }
}
