package io.millrace.redis.embedded;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 *  Reads what a server wrote into its log file. A log that cannot be read counts as empty: it only serves error
 * messages.
 */
final class RedisLog {

    private RedisLog() {}

    static long size(Path log) {
        try {
            return Files.exists(log) ? Files.size(log) : 0;
        } catch (IOException e) {
            return 0;
        }
    }

    /** What was written since {@code from}, its last {@code atMost} bytes, with a heading. */
    static String tail(Path log, long from, int atMost) {
        long size = size(log);
        long start = Math.max(from, size - atMost);
        ByteBuffer bytes = ByteBuffer.allocate((int) Math.max(0, size - start));
        try (SeekableByteChannel channel = Files.newByteChannel(log)) {
            channel.position(start);
            while (bytes.hasRemaining() && channel.read(bytes) >= 0) {
                // A read may return less than asked for.
            }
        } catch (IOException e) {
            // The message without a log is better than none.
        }
        String text = new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8).strip();
        return text.isEmpty() ? "Its log " + log + " is empty." : "Its log " + log + " ends with:\n" + text;
    }

    /** Redis, Valkey and Sentinel all say this; the system's own words for it differ between C libraries. */
    static boolean saysPortTaken(String text) {
        return text.contains("Failed listening on port")
                || text.contains("Could not create server TCP listening socket");
    }

    static boolean saysFileBusy(String text) {
        return text.contains("Text file busy");
    }
}
