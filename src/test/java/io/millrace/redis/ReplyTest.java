package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class ReplyTest {

    private enum Word {
        OK,
        GONE
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private final Reply reply = new Reply(Arrays.asList(
            bytes("OK"), 7L, bytes("8"), List.of(bytes("in")), null, bytes("later version"), bytes("GONE")));

    @Test
    @DisplayName("values are read by position")
    void values() {
        assertThat(reply.status(Word.class)).isEqualTo(Word.OK);
        assertThat(reply.word(6, Word.class)).isEqualTo(Word.GONE);
        assertThat(reply.number(1)).isEqualTo(7);
        assertThat(reply.number(2)).isEqualTo(8);
        assertThat(reply.isList(3)).isTrue();
        assertThat(reply.list(3).text(0)).isEqualTo("in");
        assertThat(reply.isNull(4)).isTrue();
        assertThat(reply.from(5).size()).isEqualTo(2);
        assertThat(Reply.of(9L).number(0)).isEqualTo(9);
    }

    @Test
    @DisplayName("a status word that the enum does not know is an error that names it, not the first word of the enum")
    void unknownWord() {
        assertThatIllegalStateException()
                .isThrownBy(() -> reply.from(5).status(Word.class))
                .withMessageContaining("later version")
                .withMessageContaining("Word");
        assertThatIllegalStateException()
                .isThrownBy(() -> new Reply(List.of(bytes("ok"))).status(Word.class))
                .withMessageContaining("\"ok\"");
    }

    @Test
    @DisplayName("a value of another kind, or none at all, is an error that says where")
    void otherKinds() {
        assertThatIllegalStateException().isThrownBy(() -> reply.bytes(1)).withMessageContaining("at 1, not bytes");
        assertThatIllegalStateException()
                .isThrownBy(() -> reply.number(0))
                .withMessageContaining("\"OK\" at 0, not a number");
        assertThatIllegalStateException().isThrownBy(() -> reply.number(4)).withMessageContaining("nothing at 4");
        assertThatIllegalStateException().isThrownBy(() -> reply.list(0)).withMessageContaining("not a list");
        assertThatIllegalStateException().isThrownBy(() -> reply.text(7)).withMessageContaining("7 values, none at 7");
        assertThatIllegalStateException()
                .isThrownBy(() -> new Reply(List.of()).status(Word.class))
                .withMessageContaining("0 values");
    }
}
