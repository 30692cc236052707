package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.testing.Eventually;
import io.millrace.testing.Monitor;
import java.time.Duration;
import java.util.UUID;

/**
 * How much the scripts of a server do: the commands that each of them runs and the words these have, as its {@code MONITOR} tells. What
 * bounds the time that one of them takes, and does not depend on what else the machine does.
 */
final class ScriptWork implements AutoCloseable {

    private final QueueRig rig;
    private final String end = UUID.randomUUID().toString();
    private final Monitor monitor;
    // Touched by the monitor's thread until the end is seen.
    private int scripts;
    private long words;
    private long most;
    private volatile boolean endSeen;

    private ScriptWork(QueueRig rig, String uri) {
        this.rig = rig;
        this.monitor = Monitor.on(uri, this::see);
    }

    static ScriptWork watch(QueueRig rig, String uri) {
        return new ScriptWork(rig, uri);
    }

    private boolean see(String line) {
        if (line.contains(" lua] ")) {
            words += line.split("\" \"", -1).length;
            most = Math.max(most, words);
        } else if (line.contains("] \"EVALSHA\"")) {
            scripts++;
            words = 0;
        } else if (line.contains(end)) {
            endSeen = true;
        }
        return false;
    }

    /** Of all that ran so far none ran commands of more words. */
    void noneAbove(long limit) {
        rig.raw("ECHO", end);
        Eventually.await("the monitor to have seen all", Duration.ofSeconds(60), () -> endSeen);
        assertThat(scripts).as("scripts").isPositive();
        assertThat(most)
                .as("words of the commands of the largest of %s scripts", scripts)
                .isBetween(1L, limit);
    }

    @Override
    public void close() {
        monitor.close();
    }
}
