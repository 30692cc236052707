package io.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class LineSplitterTest {

    @Test
    void cutsTheSameLinesHoweverTheBytesArrive() {
        byte[] text = "\ufeffone\r\n\n  \ntwo\nthrée\n\nlast".getBytes(StandardCharsets.UTF_8);
        for (int seed = 0; seed < 200; seed++) {
            Random random = new Random(seed);
            LineSplitter splitter = new LineSplitter(100);
            List<LineSplitter.Line> lines = new ArrayList<>();
            for (int at = 0; at < text.length; ) {
                int length = Math.min(text.length - at, random.nextInt(5));
                lines.addAll(splitter.feed(ByteBuffer.wrap(text, at, length)));
                at += length;
            }
            lines.addAll(splitter.end());
            assertThat(lines)
                    .as("seed %d", seed)
                    .extracting(line -> line.number() + " " + new String(line.bytes(), StandardCharsets.UTF_8))
                    .containsExactly("1 one", "4 two", "5 thrée", "7 last");
        }
    }

    @Test
    void keepsOnlyTheBeginningOfALineThatIsTooLong() {
        LineSplitter splitter = new LineSplitter(10);
        List<LineSplitter.Line> lines = new ArrayList<>();
        for (int i = 0; i < 1_000; i++) {
            lines.addAll(splitter.feed(ByteBuffer.wrap("xxxxxxxxxxxxxxxxxxxx".getBytes(StandardCharsets.UTF_8))));
        }
        lines.addAll(splitter.feed(ByteBuffer.wrap("\n0123456789\r\n01234567890\n".getBytes(StandardCharsets.UTF_8))));
        assertThat(lines).extracting(LineSplitter.Line::tooLong).containsExactly(true, false, true);
        assertThat(lines).extracting(LineSplitter.Line::number).containsExactly(1L, 2L, 3L);
        assertThat(lines.get(0).bytes().length).isLessThan(20);
        assertThat(lines.get(1).bytes()).hasSize(10);
    }
}
