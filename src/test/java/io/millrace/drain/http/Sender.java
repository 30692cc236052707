package io.millrace.drain.http;

import io.millrace.json.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.Map;

/** What sends to a drain: a plain client, and a socket for what a proper one would not send. */
final class Sender {

    static final String JSON = "application/json";
    static final String TOKEN =
            "Basic " + Base64.getEncoder().encodeToString("demo:x".getBytes(StandardCharsets.UTF_8));

    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final int port;

    Sender(int port) {
        this.port = port;
    }

    /** An answer. */
    record Answer(int status, String body, Map<?, ?> json, HttpResponse<byte[]> response) {

        String header(String name) {
            return response.headers().firstValue(name).orElse("");
        }

        String detail() {
            return String.valueOf(json.get("detail"));
        }
    }

    /** As Routemaster sends. */
    Answer post(String body) {
        return post("/events", body.getBytes(StandardCharsets.UTF_8), "Authorization", TOKEN, "Content-Type", JSON);
    }

    Answer post(String path, byte[] body, String... headers) {
        return send("POST", path, body, headers);
    }

    Answer send(String method, String path, byte[] body, String... headers) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                .timeout(Duration.ofSeconds(30))
                .method(method, body.length == 0 ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body));
        return send(headers.length == 0 ? request : request.headers(headers));
    }

    Answer send(HttpRequest.Builder request) {
        try {
            HttpResponse<byte[]> response = client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
            String body = new String(response.body(), StandardCharsets.UTF_8);
            boolean json =
                    response.headers().firstValue("content-type").orElse("").contains("json");
            return new Answer(response.statusCode(), body, json ? (Map<?, ?>) Json.read(body) : Map.of(), response);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    /** The status of what is answered to these bytes; what is sent behind them, if anything, until the server ends the connection. */
    String raw(String head, int trickle) {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setSoTimeout(8_000);
            socket.getOutputStream().write(head.getBytes(StandardCharsets.ISO_8859_1));
            socket.getOutputStream().flush();
            if (trickle > 0) {
                socket.setSoTimeout(trickle);
            }
            StringBuilder answer = new StringBuilder();
            InputStream in = socket.getInputStream();
            byte[] piece = new byte[8_192];
            long deadline = System.nanoTime() + Duration.ofSeconds(8).toNanos();
            while (System.nanoTime() < deadline) {
                try {
                    int n = in.read(piece);
                    if (n < 0) {
                        return answer + "(closed)";
                    }
                    answer.append(new String(piece, 0, n, StandardCharsets.ISO_8859_1));
                } catch (java.net.SocketTimeoutException e) {
                    if (trickle == 0) {
                        return answer + "(open)";
                    }
                    socket.getOutputStream().write(' ');
                } catch (IOException e) {
                    return answer + "(reset)";
                }
            }
            return answer + "(open)";
        } catch (IOException e) {
            return "(reset)";
        }
    }
}
