package io.millrace.testing;

/** The shared Redis as somebody else's server: used, never stopped. */
record ExternalRedis(String uri) implements RedisServer {

    ExternalRedis {
        if (!uri.startsWith("redis://") && !uri.startsWith("rediss://")) {
            throw new IllegalArgumentException(
                    "-D" + PROPERTY + " must be auto, process, docker or a redis:// URI, was " + uri);
        }
    }

    @Override
    public String describe() {
        // Without user and password.
        return "external, " + RedisAdmin.version(uri) + ", " + uri.replaceFirst("//.*@", "//");
    }

    @Override
    public void close() {
        // Not ours.
    }
}
