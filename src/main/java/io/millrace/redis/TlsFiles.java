package io.millrace.redis;

import io.lettuce.core.SslOptions;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.util.function.BiConsumer;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.scheduler.Schedulers;

/**
 * Whom to trust and who we are, from PEM files. Each new connection uses what was read last and has the files read again for the
 * next one, away from the event loop: so renewed certificates count without a restart.
 */
final class TlsFiles {

    static final TlsFiles NONE = new TlsFiles(null, null, null);

    private static final Logger log = LoggerFactory.getLogger(TlsFiles.class);

    private final @Nullable Pem ca;
    private final @Nullable Pem certificate;
    private final @Nullable Pem key;

    private TlsFiles(@Nullable Pem ca, @Nullable Pem certificate, @Nullable Pem key) {
        this.ca = ca;
        this.certificate = certificate;
        this.key = key;
    }

    /** Reads certificates of those whose signature is trusted, in place of the ones Java trusts. */
    TlsFiles withCa(Path file) {
        return new TlsFiles(new Pem("the CA certificate", file, TlsFiles::checkCertificates), certificate, key);
    }

    /** Reads our certificate, followed by those between it and its CA, and its key. */
    TlsFiles withClient(Path certificateFile, Path keyFile) {
        return new TlsFiles(
                ca,
                new Pem("the client certificate", certificateFile, TlsFiles::checkCertificates),
                new Pem("the client key", keyFile, TlsFiles::checkKey));
    }

    /** Blocks: the driver would read what Java trusts on its event loop. */
    SslOptions options() {
        SslOptions.Builder builder =
                SslOptions.builder().jdkSslProvider().handshakeTimeout(ClientProfile.CONNECT_TIMEOUT);
        if (ca == null) {
            builder.trustManager(trustedByJava());
        } else {
            builder.trustManager(ca::stream);
        }
        if (certificate != null && key != null) {
            builder.keyManager(certificate::stream, key::stream, new char[0]);
        }
        return builder.build();
    }

    private static TrustManagerFactory trustedByJava() {
        try {
            TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            factory.init((KeyStore) null);
            return factory;
        } catch (GeneralSecurityException e) {
            throw new IllegalArgumentException(
                    "the certificates that Java trusts cannot be read; see javax.net.ssl.trustStore: " + e.getMessage(),
                    e);
        }
    }

    private static void checkCertificates(String name, byte[] content) {
        try {
            if (CertificateFactory.getInstance("X.509")
                    .generateCertificates(new ByteArrayInputStream(content))
                    .isEmpty()) {
                throw new IllegalArgumentException(name + " holds no certificate; expected is PEM");
            }
        } catch (CertificateException e) {
            throw new IllegalArgumentException(name + " cannot be understood; expected is PEM", e);
        }
    }

    /** What is in it is not shown, in whatever form it may be. */
    private static void checkKey(String name, byte[] content) {
        if (!new String(content, StandardCharsets.ISO_8859_1).contains("-----BEGIN PRIVATE KEY-----")) {
            throw new IllegalArgumentException(name
                    + " is not PKCS#8 without a password (\"BEGIN PRIVATE KEY\"); make it so with: openssl pkcs8 -topk8"
                    + " -nocrypt -in OLD -out NEW");
        }
    }

    private static final class Pem {

        private final String name;
        private final Path file;
        private final BiConsumer<String, byte[]> check;
        private volatile byte[] content;

        Pem(String what, Path file, BiConsumer<String, byte[]> check) {
            this.name = what + " \"" + file + "\"";
            this.file = file;
            this.check = check;
            try {
                this.content = read();
            } catch (IOException e) {
                throw new IllegalArgumentException(name + " cannot be read: " + e, e);
            }
        }

        InputStream stream() {
            Schedulers.boundedElastic().schedule(this::readAgain);
            return new ByteArrayInputStream(content);
        }

        private byte[] read() throws IOException {
            byte[] read = Files.readAllBytes(file);
            check.accept(name, read);
            return read;
        }

        /** It may be written just now. */
        private void readAgain() {
            try {
                content = read();
            } catch (IOException | IllegalArgumentException e) {
                log.warn("going on with what was read before: {}", e.getMessage());
            }
        }
    }
}
