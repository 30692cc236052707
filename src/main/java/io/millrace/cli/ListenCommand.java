package io.millrace.cli;

import io.millrace.json.EventCodec;
import io.millrace.queue.LiveSignal;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reactor.core.publisher.Flux;

@Command(
        name = "listen",
        description = "Show events as they are delivered, one JSON object a line.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  millrace --redis redis://localhost listen '*:page:*google*'",
            "  millrace --redis redis://localhost listen '*' --count 10",
            "  millrace --redis redis://localhost listen 'env-1:*' --seconds 60",
            "",
            "Live listening is lossy by nature. Where events are missing, standard error says so."
        })
final class ListenCommand extends Action {

    @Parameters(
            paramLabel = "PATTERN",
            description = "Glob over environment:type:name; * is anything, ? one character.")
    private String pattern;

    @Option(names = "--count", paramLabel = "N", description = "End after N events.")
    private @Nullable Long count;

    @Option(names = "--seconds", paramLabel = "S", description = "End after S seconds.")
    private @Nullable Long seconds;

    @Override
    void check() {
        if ((count != null && count < 1) || (seconds != null && seconds < 1)) {
            throw usage("--count and --seconds must be 1 or more");
        }
    }

    @Override
    int run(Session session) {
        Console console = session.console();
        Flux<LiveSignal> signals = session.mill().listenSignals(pattern);
        if (seconds != null) {
            signals = signals.take(Duration.ofSeconds(seconds));
        }
        if (count != null) {
            long enough = count;
            AtomicLong heard = new AtomicLong();
            signals = signals.takeUntil(
                    signal -> signal instanceof LiveSignal.Heard && heard.incrementAndGet() >= enough);
        }
        Waiting.forEach(signals, signal -> show(console, signal));
        return Main.DONE;
    }

    private void show(Console console, LiveSignal signal) {
        if (signal instanceof LiveSignal.Heard event) {
            console.data(EventCodec.plain(event.event()));
        } else if (signal instanceof LiveSignal.Gap gap) {
            console.say(
                    gap.lost() == 0
                            ? "gap: the connection was away, events may be missing here"
                            : "gap: " + gap.lost() + " events are missing here, they came faster than they were read");
        } else {
            console.say("listening to " + pattern);
        }
    }
}
