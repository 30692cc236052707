package io.millrace.redis.embedded;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * Asks a server whether it is ready, over a plain socket: PING, and then which process it is. The second question
 * matters where two programs race for a port: the answer may come from the winner while our own server is still about
 * to give up.
 */
final class ReadyCheck {

    private static final int CONNECT_MILLIS = 200;
    private static final int READ_MILLIS = 1000;

    private final int port;
    private final long pid;
    private String lastAnswer = "no answer";

    ReadyCheck(int port, long pid) {
        this.port = port;
        this.pid = pid;
    }

    boolean passes() {
        try (Socket socket = new Socket()) {
            socket.connect(RedisProcess.address(port), CONNECT_MILLIS);
            socket.setSoTimeout(READ_MILLIS);
            OutputStream out = socket.getOutputStream();
            InputStream in = new BufferedInputStream(socket.getInputStream());
            lastAnswer = ask(out, in, "PING");
            if (lastAnswer.startsWith("-NOAUTH")) {
                return true;
            }
            if (!lastAnswer.equals("+PONG")) {
                return false;
            }
            String answer = ask(out, in, "INFO server");
            if (!answer.startsWith("$")) {
                lastAnswer = answer;
                return false;
            }
            byte[] info = in.readNBytes(Integer.parseInt(answer.substring(1)));
            return isOurs(new String(info, StandardCharsets.UTF_8));
        } catch (IOException e) {
            lastAnswer = e.toString();
            return false;
        }
    }

    /** The server's last answer or the reason why there was none, for error messages. */
    String lastAnswer() {
        return lastAnswer;
    }

    private boolean isOurs(String info) {
        String answering = info.lines()
                .filter(line -> line.startsWith("process_id:"))
                .findFirst()
                .orElse("process_id:none");
        lastAnswer = "answered by " + answering + ", started was " + pid + " (a script in "
                + EmbeddedRedis.BINARY_PROPERTY + " must exec the server)";
        return answering.equals("process_id:" + pid);
    }

    private static String ask(OutputStream out, InputStream in, String command) throws IOException {
        out.write((command + "\r\n").getBytes(StandardCharsets.US_ASCII));
        out.flush();
        StringBuilder line = new StringBuilder();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0 || line.length() > 1024) {
                throw new IOException("not a Redis server: answered " + line);
            }
            line.append((char) next);
        }
        return line.toString().strip();
    }
}
