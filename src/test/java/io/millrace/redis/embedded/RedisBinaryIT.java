package io.millrace.redis.embedded;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.millrace.redis.embedded.EmbeddedRedisException.Reason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Needs no server, but files and a platform that Redis runs on. */
class RedisBinaryIT {

    private static final FileTime LONG_AGO = FileTime.from(Instant.parse("2020-01-01T00:00:00Z"));

    private final String platform = RedisBinary.platform(System.getProperty("os.name"), System.getProperty("os.arch"));
    private final String named = System.getProperty(EmbeddedRedis.BINARY_PROPERTY, "");

    @TempDir
    Path temp;

    @AfterEach
    void restoreProperty() {
        System.setProperty(EmbeddedRedis.BINARY_PROPERTY, named);
    }

    @Test
    void isExtractedForItsOwnerOnly() throws IOException {
        Path program = RedisBinary.extract(platform, temp.resolve("cache"));

        assertThat(program).isExecutable();
        for (Path path : new Path[] {program, program.getParent(), temp.resolve("cache")}) {
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                    .isEqualTo("rwx------");
        }
        assertThat(children(program.getParent())).containsExactly(program);
    }

    @Test
    void theSecondStartUsesTheSameFile() throws IOException {
        Path program = RedisBinary.extract(platform, temp.resolve("cache"));
        Files.setLastModifiedTime(program, LONG_AGO);

        assertThat(RedisBinary.extract(platform, temp.resolve("cache"))).isEqualTo(program);
        assertThat(Files.getLastModifiedTime(program)).isEqualTo(LONG_AGO);
    }

    @Test
    void aCopyChangedWithoutChangingItsLengthIsReplaced() throws IOException {
        Path program = RedisBinary.extract(platform, temp.resolve("cache"));
        byte[] original = Files.readAllBytes(program);
        byte[] tampered = original.clone();
        tampered[tampered.length / 2] ^= 1;
        Files.write(program, tampered);

        assertThat(Files.readAllBytes(RedisBinary.extract(platform, temp.resolve("cache"))))
                .isEqualTo(original);
    }

    @Test
    void aCopyCutShortIsReplaced() throws IOException {
        Path program = RedisBinary.extract(platform, temp.resolve("cache"));
        byte[] original = Files.readAllBytes(program);
        Files.write(program, new byte[] {1, 2, 3});

        assertThat(Files.readAllBytes(RedisBinary.extract(platform, temp.resolve("cache"))))
                .isEqualTo(original);
    }

    @Test
    void aFolderOpenToOthersIsClosedAndALinkIsNotFollowed() throws IOException {
        Path open = Files.createDirectory(temp.resolve("open"));
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxrwxrwx"));
        RedisBinary.extract(platform, open);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(open)))
                .isEqualTo("rwx------");

        Path elsewhere = Files.createDirectory(temp.resolve("elsewhere"));
        Path link = Files.createSymbolicLink(temp.resolve("link"), elsewhere);
        Path program = RedisBinary.extract(platform, link);
        assertThat(program).isExecutable();
        assertThat(children(elsewhere)).isEmpty();
        Files.delete(program);
        Files.delete(program.getParent());
        Files.delete(program.getParent().getParent());
    }

    @ParameterizedTest
    @CsvSource({
        "Linux, amd64, linux-amd64",
        "Linux, aarch64, linux-arm64",
        "Linux, i386, linux-386",
        "Mac OS X, x86_64, darwin-amd64",
        "Mac OS X, aarch64, darwin-arm64"
    })
    void isBundledForThesePlatforms(String os, String processor, String expected) {
        assertThat(RedisBinary.platform(os, processor)).isEqualTo(expected);
        assertThat(getClass().getResource("/redis-server-7.0.15-" + expected)).isNotNull();
    }

    @ParameterizedTest
    @CsvSource({"Windows 11, amd64", "Linux, riscv64", "SunOS, sparcv9"})
    void elsewhereTheWayOutIsNamed(String os, String processor) {
        assertThatExceptionOfType(EmbeddedRedisException.class)
                .isThrownBy(() -> RedisBinary.platform(os, processor))
                .withMessageContainingAll(os, processor, "--redis redis://", "-Dredis.bin=/path/redis-server")
                .satisfies(e -> assertThat(e.reason()).isEqualTo(Reason.UNSUPPORTED_PLATFORM));
    }

    @Test
    void aProgramThatIsNotThereIsNamed() {
        System.setProperty(EmbeddedRedis.BINARY_PROPERTY, "/nowhere/redis-server");
        assertThatExceptionOfType(EmbeddedRedisException.class)
                .isThrownBy(() -> EmbeddedRedis.builder().startNow())
                .withMessageContainingAll("Cannot run /nowhere/redis-server", "-Dredis.bin=")
                .withMessageMatching("(?s).*(No such file or directory|not found).*")
                .satisfies(e -> assertThat(e.reason()).isEqualTo(Reason.NOT_EXECUTABLE));
    }

    @Test
    void aFileThatIsNotAProgramIsNamed() throws IOException {
        Path text = Files.writeString(temp.resolve("redis-server"), "not a program");
        System.setProperty(EmbeddedRedis.BINARY_PROPERTY, text.toString());
        assertThatExceptionOfType(EmbeddedRedisException.class)
                .isThrownBy(() -> EmbeddedRedis.builder().startNow())
                .withMessageContainingAll("Cannot run " + text, "Permission denied");
    }

    @Test
    void aCommandMayHaveLeadingArguments() {
        String program = RedisBinary.command().get(RedisBinary.command().size() - 1);
        System.setProperty(EmbeddedRedis.BINARY_PROPERTY, "/usr/bin/env,MILLRACE=1," + program);
        try (EmbeddedRedis redis = EmbeddedRedis.builder().startNow()) {
            assertThat(redis.process().isAlive()).isTrue();
        }
    }

    private static List<Path> children(Path folder) throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.toList();
        }
    }
}
