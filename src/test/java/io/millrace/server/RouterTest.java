package io.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;

class RouterTest {

    private final Router router = new Router()
            .route("GET", "/api/queues/{name}", Router.Kind.GUARDED, exchange -> Mono.empty())
            .route("DELETE", "/api/queues/{name}", Router.Kind.GUARDED, exchange -> Mono.empty());

    @ParameterizedTest
    @ValueSource(strings = {"plain", "a/b", "..", "%", "täglich ☕", "a?b#c", "+ +", "{name}"})
    void anyTextIsAName(String name) {
        String path =
                "/api/queues/" + URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20");
        assertThat(router.match("GET", path + "?x=1").path()).containsEntry("name", name);
    }

    @Test
    void unknownPathsAreNotFoundAndUnknownMethodsSayWhatIsAllowed() {
        assertThatThrownBy(() -> router.match("GET", "/api/queues"))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.status()).isEqualTo(404));
        assertThatThrownBy(() -> router.match("GET", "/api/queues/"))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.status()).isEqualTo(404));
        assertThatThrownBy(() -> router.match("POST", "/api/queues/x"))
                .isInstanceOfSatisfying(Problem.class, problem -> {
                    assertThat(problem.status()).isEqualTo(405);
                    assertThat(problem.headers()).containsEntry("Allow", "DELETE, GET");
                });
    }

    @ParameterizedTest
    @ValueSource(strings = {"%", "%4", "%zz", "%ff", "%c3%28"})
    void whatIsNotPercentEncodedUtf8IsABadRequest(String name) {
        assertThatThrownBy(() -> router.match("GET", "/api/queues/" + name))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.status()).isEqualTo(400));
    }
}
