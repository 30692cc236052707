package io.millrace.redis.embedded;

import io.millrace.redis.embedded.EmbeddedRedisException.Reason;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 *  Finds the command that runs a Redis server: the one the user names, else the bundled one, extracted once per user.
 */
final class RedisBinary {

    static final String VERSION = "7.0.15";

    /** The way out, added to every message about a server program that does not run. */
    static final String WAY_OUT =
            "Install Redis and pass its URL (--redis redis://host:port), or name a server program with" + " -D"
                    + EmbeddedRedis.BINARY_PROPERTY + "=/path/redis-server.";

    private static final Logger log = LoggerFactory.getLogger(RedisBinary.class);
    private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rwx------");
    private static final FileAttribute<Set<PosixFilePermission>> CREATE_OWNER_ONLY =
            PosixFilePermissions.asFileAttribute(OWNER_ONLY);

    private RedisBinary() {}

    /**
     *  The command up to, and not including, the server's own arguments. Reads and writes files: not for event loops.
     */
    static List<String> command() {
        String named = System.getProperty(EmbeddedRedis.BINARY_PROPERTY);
        if (named != null && !named.isBlank()) {
            return List.of(named.split(","));
        }
        String platform = platform(System.getProperty("os.name"), System.getProperty("os.arch"));
        String user = System.getProperty("user.name").replaceAll("[^A-Za-z0-9_.-]", "_");
        Path cache = Path.of(System.getProperty("java.io.tmpdir"), "millrace-" + user);
        return List.of(extract(platform, cache).toString());
    }

    /** The platform part of the bundled program's name, such as {@code linux-amd64}. */
    static String platform(String osName, String osArch) {
        String os = osName.toLowerCase(Locale.ROOT);
        String system = os.startsWith("linux") ? "linux" : os.startsWith("mac") ? "darwin" : "";
        String processor = switch (osArch.toLowerCase(Locale.ROOT)) {
            case "amd64", "x86_64" -> "amd64";
            case "aarch64", "arm64" -> "arm64";
            case "x86", "i386", "i486", "i586", "i686" -> "386";
            default -> "";
        };
        if (system.isEmpty() || processor.isEmpty() || (system.equals("darwin") && processor.equals("386"))) {
            throw new EmbeddedRedisException(
                    Reason.UNSUPPORTED_PLATFORM,
                    "No embedded Redis for " + osName + " on " + osArch
                            + ": there is one for Linux (amd64, arm64, 386) and macOS (amd64, arm64). " + WAY_OUT);
        }
        return system + "-" + processor;
    }

    /**
     * Puts the bundled program below {@code cache} unless an intact copy is there already. Intact means: same length
     * and SHA-256 as the resource, so a copy cut short by a full disk, or changed by anybody, is replaced.
     */
    static Path extract(String platform, Path cache) {
        String name = "redis-" + VERSION + "-" + platform;
        byte[] program = resource("redis-server-" + VERSION + "-" + platform);
        try {
            Path folder = privateFolder(privateFolder(cache).resolve(name));
            Path file = folder.resolve("redis-server");
            if (!intact(file, program)) {
                Path whole = Files.createTempFile(folder, "redis-server", ".part", CREATE_OWNER_ONLY);
                try {
                    Files.write(whole, program);
                    Files.move(whole, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
                } finally {
                    Files.deleteIfExists(whole);
                }
            }
            return file;
        } catch (IOException e) {
            throw new EmbeddedRedisException(
                    Reason.FAILED,
                    "Cannot extract redis-server to " + cache + ": " + e
                            + ". Choose a writable place with -Djava.io.tmpdir=/path. " + WAY_OUT,
                    e);
        }
    }

    private static byte[] resource(String name) {
        try (InputStream in = RedisBinary.class.getResourceAsStream("/" + name)) {
            if (in == null) {
                throw new EmbeddedRedisException(
                        Reason.UNSUPPORTED_PLATFORM,
                        "No embedded Redis: " + name
                                + " is not on the class path (artifact org.signal:embedded-redis). " + WAY_OUT);
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new EmbeddedRedisException(Reason.FAILED, "Cannot read " + name + " from the class path: " + e, e);
        }
    }

    private static boolean intact(Path file, byte[] program) throws IOException {
        return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
                && Files.size(file) == program.length
                && Files.isExecutable(file)
                && MessageDigest.isEqual(sha256(Files.readAllBytes(file)), sha256(program));
    }

    private static byte[] sha256(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /**
     * The folder, made if missing, that only we can write. Somebody else may have made it first, in a shared temporary
     * directory, to swap the program between our check and its start; then a folder with a name nobody could guess is
     * used for this JVM.
     */
    private static Path privateFolder(Path folder) throws IOException {
        try {
            return Files.createDirectory(folder, CREATE_OWNER_ONLY);
        } catch (FileAlreadyExistsException e) {
            PosixFileAttributes found =
                    Files.readAttributes(folder, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
            Path ours = Files.createTempDirectory("millrace-", CREATE_OWNER_ONLY);
            if (found.isDirectory() && found.owner().equals(Files.getOwner(ours))) {
                Files.delete(ours);
                Files.setPosixFilePermissions(folder, OWNER_ONLY);
                return folder;
            }
            log.warn("{} belongs to somebody else, redis-server is extracted to {} instead", folder, ours);
            return ours;
        }
    }
}
