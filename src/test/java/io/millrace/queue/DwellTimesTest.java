package io.millrace.queue;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class DwellTimesTest {

    @Test
    @DisplayName("fields of the hash that another version wrote are passed over")
    void unknownFields() {
        DwellTimes times = DwellTimes.read(Stream.of("0", "3", "new", "x", "77", "5", "4", "2", "sum", "40", "-1", "9")
                .map(word -> word.getBytes(UTF_8))
                .toList());
        assertThat(times.count()).isEqualTo(5);
        assertThat(times.sum()).isEqualTo(Duration.ofMillis(40));
        assertThat(times.percentile(0.5)).isEqualTo(Duration.ofMillis(1));
        assertThat(times.percentile(1)).isEqualTo(Duration.ofMillis(16));
    }
}
