package io.millrace.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisCommandTimeoutException;
import io.lettuce.core.RedisConnectionException;
import io.lettuce.core.RedisException;
import io.lettuce.core.RedisNoScriptException;
import io.millrace.MillraceException;
import io.millrace.RedisRefusedException;
import io.millrace.RedisUnavailableException;
import io.millrace.redis.RedisErrors.Recovery;
import io.netty.handler.codec.EncoderException;
import java.io.IOException;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RedisErrorsTest {

    @ParameterizedTest(name = "{0} means {1}")
    @CsvSource(
            delimiter = '|',
            value = {
                "NOSCRIPT No matching script. Please use EVAL.|RELOAD",
                "MOVED 3999 127.0.0.1:6381|RELOAD",
                "ASK 3999 127.0.0.1:6381|RELOAD",
                "READONLY You can't write against a read only replica.|RELOAD",
                "TRYAGAIN Multiple keys request during rehashing of slot|RETRY",
                "LOADING Redis is loading the dataset in memory|RETRY",
                "BUSY Redis is busy running a script.|RETRY",
                "CLUSTERDOWN The cluster is down|RETRY",
                "MASTERDOWN Link with MASTER is down|RETRY",
                "UNBLOCKED force unblock from blocking operation|RETRY",
                "ERR max number of clients reached|RETRY",
                "NOREPLICAS Not enough good replicas to write.|FAIL",
                "MISCONF Redis is configured to save RDB snapshots|FAIL",
                "OOM command not allowed when used memory > 'maxmemory'.|FAIL",
                "NOAUTH Authentication required.|FAIL",
                "WRONGPASS invalid username-password pair|FAIL",
                "NOPERM this user has no permissions|FAIL",
                "WRONGTYPE Operation against a key holding the wrong kind of value|FAIL",
                "CROSSSLOT Keys in request don't hash to the same slot|FAIL",
                "EXECABORT Transaction discarded|FAIL",
                "ERR unknown command 'FOO'|FAIL",
                "something in another form|FAIL",
            })
    void everyKindOfAnswerHasARow(String answer, Recovery recovery) {
        RedisCommandExecutionException error = new RedisCommandExecutionException(answer);
        assertThat(RedisErrors.recovery(error)).isEqualTo(recovery);
        Throwable translated = RedisErrors.translate(error);
        assertThat(translated).isInstanceOf(MillraceException.class).hasMessageContaining(answer);
        if (recovery == Recovery.FAIL) {
            assertThat(translated).isInstanceOf(RedisRefusedException.class);
            assertThat(((RedisRefusedException) translated).code())
                    .isEqualTo(answer.startsWith("something") ? "ERR" : answer.substring(0, answer.indexOf(' ')));
        } else {
            assertThat(translated).isInstanceOf(RedisUnavailableException.class);
            assertThat(((RedisUnavailableException) translated).indeterminate()).isFalse();
            assertThat(((MillraceException) translated).retryable()).isTrue();
        }
    }

    @Test
    @DisplayName("memory pressure passes when queues drain, access denied does not")
    void retryable() {
        assertThat(((MillraceException) RedisErrors.translate(new RedisCommandExecutionException("OOM full")))
                        .retryable())
                .isTrue();
        assertThat(((MillraceException) RedisErrors.translate(new RedisCommandExecutionException("NOPERM no")))
                        .retryable())
                .isFalse();
    }

    @Test
    @DisplayName("the driver's own class for NOSCRIPT counts too")
    void noScript() {
        assertThat(RedisErrors.recovery(new RedisNoScriptException("NOSCRIPT No matching script.")))
                .isEqualTo(Recovery.RELOAD);
    }

    @Test
    @DisplayName("an answer that did not come leaves the outcome open; a command that was never sent does not")
    void indeterminate() {
        for (Throwable lost : new Throwable[] {
            new RedisCommandTimeoutException("Command timed out after 2 second(s)"),
            new RedisException("Connection disconnected"),
            new IOException("Connection reset by peer"),
            new EncoderException("Cannot encode command. Closing the connection"),
            new OutOfMemoryError("for a larger buffer")
        }) {
            assertThat(RedisErrors.recovery(lost)).as(lost.toString()).isEqualTo(Recovery.RETRY);
            assertThat(((RedisUnavailableException) RedisErrors.translate(lost)).indeterminate())
                    .as(lost.toString())
                    .isTrue();
        }
        for (Throwable unsent : new Throwable[] {
            new RedisException("Currently not connected. Commands are rejected."),
            new RedisConnectionException("Unable to connect to 127.0.0.1:1")
        }) {
            assertThat(RedisErrors.recovery(unsent)).as(unsent.toString()).isEqualTo(Recovery.FAIL);
            assertThat(((RedisUnavailableException) RedisErrors.translate(unsent)).indeterminate())
                    .as(unsent.toString())
                    .isFalse();
        }
    }

    @Test
    @DisplayName("credentials that are refused while connecting are told as such")
    void refusedWhileConnecting() {
        Throwable error = new RedisConnectionException(
                "Unable to connect", new RedisCommandExecutionException("WRONGPASS invalid username-password pair"));
        assertThat(RedisErrors.translate(error))
                .isInstanceOf(RedisRefusedException.class)
                .hasMessageContaining("WRONGPASS");
    }

    @Test
    @DisplayName("a server that is full refuses connections for a while: nothing was done, and trying again may help")
    void fullWhileConnecting() {
        Throwable error = new RedisConnectionException(
                "Unable to connect", new RedisCommandExecutionException("ERR max number of clients reached"));
        assertThat(RedisErrors.translate(error)).isInstanceOfSatisfying(RedisUnavailableException.class, away -> {
            assertThat(away.indeterminate()).isFalse();
            assertThat(away).hasMessageContaining("maxclients");
        });
    }

    @Test
    @DisplayName("a connection that is closed as soon as it is made may be one with TLS, or without: both are named")
    void closedAtOnce() {
        RedisConnectionException closed = new RedisConnectionException(
                "Unable to connect", new IllegalStateException("RedisHandshakeHandler not registered"));
        assertThat(RedisErrors.translate(closed))
                .isInstanceOf(RedisUnavailableException.class)
                .hasMessageContaining("rediss://")
                .hasMessageContaining("redis://");
    }

    @Test
    @DisplayName("errors that are not Redis' pass unchanged")
    void others() {
        IllegalStateException bug = new IllegalStateException("a bug");
        assertThat(RedisErrors.translate(bug)).isSameAs(bug);
        assertThat(RedisErrors.recovery(bug)).isEqualTo(Recovery.FAIL);
    }
}
