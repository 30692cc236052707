package io.millrace.drain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class DrainSettingsTest {

    @Test
    @DisplayName("a changed copy keeps everything else")
    void mutate() {
        DrainSettings all = DrainSettings.builder()
                .maxEvents(1)
                .maxBodyBytes(2_000)
                .maxInFlight(3)
                .maxBufferedBytes(70_000)
                .bodyTimeout(Duration.ofSeconds(5))
                .maxAhead(Duration.ofSeconds(6))
                .maxStored(7)
                .deduplicate(Duration.ofSeconds(8), 900)
                .filterMemory(Duration.ofSeconds(10))
                .lease(Duration.ofSeconds(11))
                .maxRetryDelay(Duration.ofSeconds(12))
                .concurrency(13)
                .build();
        assertThat(all.mutate().build()).usingRecursiveComparison().isEqualTo(all);
        assertThat(all).usingRecursiveComparison().isNotEqualTo(DrainSettings.defaults());
        assertThat(all.mutate().maxEvents(2).build().maxInFlight()).isEqualTo(3);
    }

    @Test
    @DisplayName("a value out of range is named, with its range")
    void ranges() {
        assertThatThrownBy(() -> DrainSettings.builder().concurrency(0))
                .hasMessage("concurrency must be 1 to 1024, was 0");
        assertThatThrownBy(() -> DrainSettings.builder().lease(Duration.ZERO))
                .hasMessage("lease must be PT0.1S to PT1H, was PT0S");
        assertThatThrownBy(() -> SweepOptions.defaults().withLimit(0)).hasMessageContaining("limit");
        assertThatThrownBy(() -> SweepOptions.defaults().withLease(Duration.ofHours(2)))
                .hasMessageContaining("lease");
    }
}
