package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.millrace.Event;
import io.millrace.Millrace;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class FirstStepsIT {

    @Test
    void deliversFairly() {
        try (Millrace mill = Millrace.embedded()) {
            mill.queues().register("q", ".*:page:.*google.*").block();
            for (int i = 0; i < 3; i++) {
                mill.deliver(Event.of("a", "page", "google" + i)).block();
            }
            mill.deliver(Event.of("b", "page", "google")).block();
            Delivered none = mill.deliver(Event.of("b", "page", "bing")).block();
            assertThat(none.queues()).isEmpty();
            FacetQueue queue = mill.queue("q");
            assertThat(queue.length().block()).isEqualTo(4);
            System.out.println(queue.facets().collectList().block());
            System.out.println(queue.peek(10).collectList().block());
            List<Delivery> first =
                    queue.lease(2, LeaseOptions.defaults()).collectList().block();
            assertThat(first).extracting(d -> d.message().facet()).containsExactly("a", "b");
            System.out.println(first);
            assertThat(first.get(0).ack().block()).isTrue();
            assertThat(first.get(0).ack().block()).isFalse();
            assertThat(first.get(1).nack().block()).isTrue();
            System.out.println(queue.facets().collectList().block());
            List<Message> seen = queue.receive()
                    .take(3)
                    .flatMap(d -> d.ack().thenReturn(d.message()))
                    .collectList()
                    .block(Duration.ofSeconds(5));
            System.out.println(seen);
            System.out.println(queue.doctor().block());
        }
    }
}
