package io.millrace.cli;

import io.millrace.stream.ChangeStream;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Parameters;

/** A command about one stream. */
abstract class StreamAction extends Action {

    @Parameters(index = "0", paramLabel = "NAME", description = "The stream's name.")
    String name;

    ChangeStream stream(Session session) {
        return session.mill().streams().stream(name);
    }

    Map<String, @Nullable Object> shape() {
        Map<String, @Nullable Object> shape = new LinkedHashMap<>();
        shape.put("stream", name);
        return shape;
    }
}
