package io.millrace.drain;

import io.millrace.MalformedEventException;
import io.millrace.json.Notifications;
import io.millrace.json.Notifications.Notification;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Changes of resources out of CloudEvents 1.0 and Standard Webhooks, which both say what happened in a dotted type, such as
 * {@code com.example.widget.updated}.
 *
 * <p>The last word of the type says what happened (created, deleted or removed, noop; everything else is an update), what is before it
 * is the topic, unless an extension {@code topic} says so. The resource of a CloudEvent is its subject when that is a URL, else source
 * and subject joined, else the source; of a webhook it is {@code data.url}.
 */
final class CloudEvents {

    private static final int MAX_ATTRIBUTE = 2_048;

    /** A change, and what its sender calls it. */
    record Read(String identity, Notification event) {}

    private CloudEvents() {}

    /** Attributes in headers, data in the body. */
    static Read binary(Head head, byte[] body) {
        Map<String, @Nullable Object> attributes = new LinkedHashMap<>();
        for (String name : List.of("specversion", "id", "source", "type", "subject", "time", "topic")) {
            String value = head.get("ce-" + name);
            if (value != null) {
                attributes.put(name, decoded(value));
            }
        }
        if (body.length > 0) {
            attributes.put("data", Notifications.readValue(body));
        }
        return structured(attributes);
    }

    /** Attributes and data in one object. */
    static Read structured(@Nullable Object value) {
        if (!(value instanceof Map<?, ?> event)) {
            throw new MalformedEventException("a CloudEvent is a JSON object");
        }
        String version = text(event, "specversion");
        if (!version.equals("1.0")) {
            throw new MalformedEventException("specversion must be 1.0, was " + version);
        }
        String id = text(event, "id");
        String source = text(event, "source");
        String type = text(event, "type");
        Object topic = event.get("topic");
        return new Read(
                source + '\0' + id,
                new Notification(
                        topic instanceof String named && !named.isEmpty() ? named : topic(type),
                        change(type),
                        url(source, event.get("subject")),
                        time(event.get("time"), "time"),
                        data(event.get("data"))));
    }

    static List<Read> batch(@Nullable Object value, int most) {
        if (!(value instanceof List<?> list)) {
            throw new MalformedEventException("a batch of CloudEvents is a JSON array");
        }
        if (list.size() > most) {
            throw new MalformedEventException("a batch may have " + most + " events; send several");
        }
        List<Read> events = new ArrayList<>(list.size());
        for (Object one : list) {
            events.add(structured(one));
        }
        return events;
    }

    /** The payload that Standard Webhooks recommends: type, timestamp, data. */
    static Read webhook(@Nullable Object value) {
        if (!(value instanceof Map<?, ?> event)) {
            throw new MalformedEventException("a webhook is a JSON object");
        }
        String type = text(event, "type");
        Map<String, @Nullable Object> data = data(event.get("data"));
        if (data == null || !(data.get("url") instanceof String url)) {
            throw new MalformedEventException("a webhook must say in data.url which resource changed");
        }
        return new Read(
                "", new Notification(topic(type), change(type), url, time(event.get("timestamp"), "timestamp"), data));
    }

    private static String topic(String type) {
        int dot = type.lastIndexOf('.');
        return dot <= 0 ? type : type.substring(0, dot);
    }

    private static String change(String type) {
        String last = type.substring(type.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
        return switch (last) {
            case "create", "created" -> "create";
            case "delete", "deleted", "remove", "removed" -> "delete";
            case "noop" -> "noop";
            default -> "update";
        };
    }

    private static String url(String source, @Nullable Object subject) {
        if (!(subject instanceof String about) || about.isEmpty()) {
            return source;
        }
        if (isAbsolute(about)) {
            return about;
        }
        boolean slash = source.endsWith("/") || about.startsWith("/");
        return slash ? source + about : source + '/' + about;
    }

    private static boolean isAbsolute(String url) {
        try {
            return URI.create(url).getHost() != null;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private static long time(@Nullable Object time, String field) {
        if (time == null) {
            return System.currentTimeMillis();
        }
        try {
            return OffsetDateTime.parse(String.valueOf(time)).toInstant().toEpochMilli();
        } catch (DateTimeException | ArithmeticException e) {
            throw new MalformedEventException(field + " must be a time such as " + Instant.EPOCH, e);
        }
    }

    @SuppressWarnings("unchecked")
    private static @Nullable Map<String, @Nullable Object> data(@Nullable Object data) {
        if (data == null) {
            return null;
        }
        if (data instanceof Map<?, ?> map) {
            return (Map<String, @Nullable Object>) map;
        }
        throw new MalformedEventException("data must be a JSON object");
    }

    private static String text(Map<?, ?> event, String name) {
        if (event.get(name) instanceof String text && !text.isEmpty() && text.length() <= MAX_ATTRIBUTE) {
            return text;
        }
        throw new MalformedEventException(name + " must be text of 1 to " + MAX_ATTRIBUTE + " characters");
    }

    private static String decoded(String header) {
        try {
            return URLDecoder.decode(header.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw new MalformedEventException("a ce- header is not percent-encoded", e);
        }
    }
}
