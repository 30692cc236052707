package io.millrace.testing;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;

/** Everything a server does, in its order, also what scripts do: its {@code MONITOR}. Commands of which it has seen all: none is sampled. */
public final class Monitor implements AutoCloseable {

    private final Socket socket;
    private final List<String> lines = new CopyOnWriteArrayList<>();
    private final Thread reader;

    private Monitor(Socket socket, BufferedReader in, Predicate<String> wanted) {
        this.socket = socket;
        this.reader = new Thread(() -> read(in, wanted), "monitor-" + socket.getPort());
        reader.setDaemon(true);
        reader.start();
    }

    /**
     * Begins to watch; what a server does after this is seen.
     *
     * @param uri {@code redis://host:port}
     * @param wanted which lines are kept, such as {@code 1790000000.1 [0 lua] "SET" "key" "value"}
     */
    public static Monitor on(String uri, Predicate<String> wanted) {
        URI address = URI.create(uri);
        try {
            Socket socket = new Socket(address.getHost(), address.getPort());
            BufferedReader in =
                    new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
            socket.getOutputStream().write("MONITOR\r\n".getBytes(StandardCharsets.US_ASCII));
            String answer = in.readLine();
            if (!"+OK".equals(answer)) {
                throw new AssertionError("MONITOR was answered with " + answer);
            }
            return new Monitor(socket, in, wanted);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What was seen so far. */
    public List<String> lines() {
        return List.copyOf(lines);
    }

    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void read(BufferedReader in, Predicate<String> wanted) {
        try {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                if (wanted.test(line)) {
                    lines.add(line);
                }
            }
        } catch (IOException e) {
            // The server has ended, or this was closed.
        }
    }
}
