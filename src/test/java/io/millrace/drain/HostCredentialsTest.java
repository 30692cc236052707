package io.millrace.drain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HostCredentialsTest {

    private final HostCredentials credentials =
            HostCredentials.of("server1.example.com:user:p4ss, [api.example.com:8443]:me:p4:ss,");

    private static String basic(String userAndPassword) {
        return "Basic " + Base64.getEncoder().encodeToString(userAndPassword.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    @DisplayName("D22 a host gets its own user and password, colons and all")
    void own() {
        assertThat(credentials.size()).isEqualTo(2);
        assertThat(credentials.authorization(URI.create("https://server1.example.com/a")))
                .isEqualTo(basic("user:p4ss"));
        assertThat(credentials.authorization(URI.create("HTTPS://SERVER1.example.com:443/")))
                .isEqualTo(basic("user:p4ss"));
        assertThat(credentials.authorization(URI.create("https://api.example.com:8443/b")))
                .isEqualTo(basic("me:p4:ss"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://server1.example.com.evil.example/",
                "https://evil-server1.example.com/",
                "https://xserver1.example.com/",
                "https://server1.example.co/",
                "https://example.com/server1.example.com",
                "https://server1.example.com@evil.example/",
                "https://evil.example/?server1.example.com",
                "https://evil.example/#server1.example.com",
                "https://server1.example.com.:443/",
                "http://server1.example.com/",
                "ftp://server1.example.com/",
                "https://server1.example.com:8443/",
                "https://api.example.com/",
                "//server1.example.com/",
                "server1.example.com",
                "mailto:server1.example.com"
            })
    @Tag("X4")
    @DisplayName("X4 nobody else gets them, nor any header: other hosts, prefixes and suffixes, other ports, no TLS")
    void others(String address) {
        assertThat(credentials.authorization(URI.create(address))).isNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "server[12]:u:s3cr3t",
                ".*:u:s3cr3t",
                "^a$:u:s3cr3t",
                ":u:s3cr3t",
                "s3cr3t",
                "a:s3cr3t",
                "[a:]:u:s3cr3t",
                "[a]:u:s3cr3t",
                "a b:u:s3cr3t",
                "a:u:s3cr3t,A:u:s3cr3t",
                "-a:u:s3cr3t",
                "[a:1:u:s3cr3t",
                "[a:0]:u:s3cr3t",
                "[a:65536]:u:s3cr3t"
            })
    @DisplayName("X4 X18 a pattern for hosts and anything else that is none is refused; the password is not shown")
    void refused(String list) {
        assertThatThrownBy(() -> HostCredentials.of(list))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageNotContaining("s3cr3t");
    }

    @Test
    @DisplayName("any text is read or refused")
    void fuzz() {
        Random random = new Random(4);
        String letters = "ab:.,[]8 %\u00e9\n";
        int read = 0;
        for (int i = 0; i < 20_000; i++) {
            StringBuilder text = new StringBuilder();
            for (int n = random.nextInt(14); n > 0; n--) {
                text.append(letters.charAt(random.nextInt(letters.length())));
            }
            try {
                read += HostCredentials.of(text.toString()).size() > 0 ? 1 : 0;
            } catch (IllegalArgumentException refused) {
                assertThat(refused.getMessage()).isNotBlank();
            }
        }
        assertThat(read).isBetween(10, 19_990);
        assertThat(credentials.toString()).doesNotContain("p4");
    }
}
