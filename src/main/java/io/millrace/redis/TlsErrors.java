package io.millrace.redis;

import io.millrace.RedisRefusedException;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateException;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/** What a failed TLS handshake means, and the way out. */
final class TlsErrors {

    private TlsErrors() {}

    /** An error of connecting as one of Millrace's, if TLS is its cause. */
    static @Nullable RedisRefusedException translate(Throwable error) {
        Throwable tls = find(SSLException.class, error);
        if (tls == null) {
            return null;
        }
        Throwable root = tls;
        while (root.getCause() != null && root.getCause() != root) {
            root = root.getCause();
        }
        return new RedisRefusedException(
                "TLS", "no TLS connection to Redis: " + root.getMessage() + " (" + advice(tls) + ")", false, error);
    }

    private static String advice(Throwable tls) {
        if (find(CertPathBuilderException.class, tls) != null) {
            return "its certificate is signed by nobody trusted here; name the CA with ?cacert=FILE in the address, with"
                    + " RedisSettings.caCertificate, or for all of Java with -Djavax.net.ssl.trustStore";
        }
        if (find(CertPathValidatorException.class, tls) != null) {
            return "its certificate is not valid; have it renewed";
        }
        if (find(CertificateException.class, tls) != null) {
            return "its certificate is not for this host; use a name that it holds, or have the name added to it";
        }
        return "does this port speak TLS, and does it ask for a certificate of ours? Give one with ?cert=FILE&key=FILE in"
                + " the address, or with RedisSettings.clientCertificate";
    }

    private static @Nullable Throwable find(Class<? extends Throwable> type, Throwable error) {
        for (Throwable each = error; each != null; each = each.getCause() == each ? null : each.getCause()) {
            if (type.isInstance(each)) {
                return each;
            }
        }
        return null;
    }
}
