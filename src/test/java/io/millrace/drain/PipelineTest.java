package io.millrace.drain;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

/** Who has to be there for a batch to count as done. */
class PipelineTest {

    private static final String ID = "1790000000000-0";
    private static final byte[] BODY = DrainRig.body(DrainRig.update("u", 1));

    private final LiveListeners live = new LiveListeners(Schedulers.immediate(), () -> {});

    private Pipeline pipeline(List<Pipeline.Step> steps) {
        return new Pipeline(steps, List.of(), live, Schedulers.immediate(), 100);
    }

    @Test
    @DisplayName("a batch that is for subscribers only is not done when the last of them has just gone")
    void nobodyThere() {
        List<String> heard = new ArrayList<>();
        Disposable subscriber =
                live.flux(() -> {}).subscribe(batch -> batch.events().forEach(event -> heard.add(event.url())));
        StepVerifier.create(pipeline(List.of()).process(ID, 1, BODY))
                .expectComplete()
                .verify(Duration.ofSeconds(5));
        assertThat(heard).containsExactly("u");

        subscriber.dispose();
        StepVerifier.create(pipeline(List.of()).process(ID, 2, BODY))
                .expectErrorMessage("nobody listens any more")
                .verify(Duration.ofSeconds(5));
    }

    @Test
    @DisplayName("a batch that has a stage to go through needs no subscriber")
    void stages() {
        Pipeline.Step step = new Pipeline.Step(Mono::just, true);

        StepVerifier.create(pipeline(List.of(step)).process(ID, 1, BODY))
                .expectComplete()
                .verify(Duration.ofSeconds(5));
    }
}
