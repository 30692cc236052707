package io.millrace.testing;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A CA and certificates it signed, made anew for each run by the JDK's own {@code keytool}, as PEM files in a folder: {@code NAME.crt}
 * and {@code NAME.key}. Valid for a day, worth nothing.
 */
public final class TlsKeys {

    /** Password of the key stores; it protects nothing. */
    public static final String PASSWORD = "changeit";

    private final Path folder;
    private final Path store;

    private TlsKeys(Path folder) {
        this.folder = folder;
        this.store = folder.resolve("all.p12");
    }

    /**
     * Makes a CA and what it signs.
     *
     * @param alternativeNames of each certificate: {@code "server", "ip:127.0.0.1,dns:localhost"}
     */
    public static TlsKeys make(Path folder, Map<String, String> alternativeNames) {
        TlsKeys keys = new TlsKeys(folder);
        keys.generate("ca", "-ext", "bc:critical=ca:true");
        alternativeNames.forEach((name, names) -> keys.generate(name, "-signer", "ca", "-ext", "san=" + names));
        try {
            keys.write("ca");
            for (String name : alternativeNames.keySet()) {
                keys.write(name);
            }
            return keys;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The certificate of the CA. */
    public Path ca() {
        return certificate("ca");
    }

    /** A certificate. */
    public Path certificate(String name) {
        return folder.resolve(name + ".crt");
    }

    /** Its key. */
    public Path key(String name) {
        return folder.resolve(name + ".key");
    }

    /** A store of the kind Java reads, with the CA in it. */
    public Path trustStore() {
        return folder.resolve("trust.p12");
    }

    private void generate(String name, String... further) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                name,
                "-dname",
                "CN=" + name + ", O=Millrace tests",
                "-keyalg",
                "EC",
                "-groupname",
                "secp256r1",
                "-validity",
                "1",
                "-keystore",
                store.toString(),
                "-storetype",
                "PKCS12",
                "-storepass",
                PASSWORD));
        command.addAll(List.of(further));
        try {
            Process keytool =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            String said = new String(keytool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (!keytool.waitFor(30, TimeUnit.SECONDS) || keytool.exitValue() != 0) {
                throw new IllegalStateException("keytool: " + said);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private void write(String name) throws IOException, GeneralSecurityException {
        KeyStore all = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(store)) {
            all.load(in, PASSWORD.toCharArray());
        }
        pem(certificate(name), "CERTIFICATE", all.getCertificate(name).getEncoded());
        pem(key(name), "PRIVATE KEY", all.getKey(name, PASSWORD.toCharArray()).getEncoded());
        if (name.equals("ca")) {
            KeyStore trust = KeyStore.getInstance("PKCS12");
            trust.load(null, null);
            trust.setCertificateEntry("ca", all.getCertificate("ca"));
            try (var out = Files.newOutputStream(trustStore())) {
                trust.store(out, PASSWORD.toCharArray());
            }
        }
    }

    private static void pem(Path file, String kind, byte[] der) throws IOException {
        String body = Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII))
                .encodeToString(der);
        Files.writeString(file, "-----BEGIN " + kind + "-----\n" + body + "\n-----END " + kind + "-----\n");
    }
}
