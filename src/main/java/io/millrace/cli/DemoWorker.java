package io.millrace.cli;

import io.millrace.queue.LeaseOptions;
import io.millrace.server.Shapes;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The consumer that the demo kills: takes messages under a lease, and then never gets anything done. */
@Command(name = "demo-worker", hidden = true)
final class DemoWorker extends Action {

    @Parameters(paramLabel = "NAME")
    private String queue;

    @Option(names = "-n", defaultValue = "1")
    private int n;

    @Option(names = "--lease", defaultValue = "2s")
    private Duration lease;

    @Override
    int run(Session session) {
        LeaseOptions options = LeaseOptions.builder().lease(lease).build();
        Waiting.forEach(
                session.mill().queue(queue).lease(n, options),
                delivery -> session.console().data(Shapes.delivery(delivery)));
        try {
            session.console().in().transferTo(OutputStream.nullOutputStream()); // until the demo ends, or kills us
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Main.DONE;
    }
}
