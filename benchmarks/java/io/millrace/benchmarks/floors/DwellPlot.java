package io.millrace.benchmarks.floors;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** Draws how many of the messages had waited at most so long, one line a case, time on a logarithmic scale, as SVG. */
final class DwellPlot {

    private static final int WIDTH = 760;
    private static final int HEIGHT = 360;
    private static final int LEFT = 60;
    private static final int BOTTOM = 310;
    private static final int TOP = 20;
    private static final int RIGHT = 560;
    private static final double LEAST = 1; // 10 µs
    private static final double MOST = 8; // 100 s
    private static final List<String> COLOURS = List.of("#0b7285", "#2b8a3e", "#e67700", "#c92a2a", "#5f3dc4");

    private DwellPlot() {}

    static void write(Path file, List<QuietTenant.Dwell> cases) {
        StringBuilder svg = new StringBuilder(String.format(
                Locale.ROOT,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">%n",
                WIDTH,
                HEIGHT));
        svg.append("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        String[] labels = {"10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"};
        for (int decade = 0; decade < labels.length; decade++) {
            double x = x(Math.pow(10, decade + 1));
            line(svg, x, TOP, x, BOTTOM, "#dee2e6");
            text(svg, x, BOTTOM + 18, "middle", "black", labels[decade]);
        }
        for (int percent = 0; percent <= 100; percent += 25) {
            double y = y(percent / 100.0);
            line(svg, LEFT, y, RIGHT, y, "#dee2e6");
            text(svg, LEFT - 6, y + 4, "end", "black", percent + " %");
        }
        text(
                svg,
                (LEFT + RIGHT) / 2.0,
                BOTTOM + 38,
                "middle",
                "black",
                "from delivery to handler, a tenant with one message a second");
        for (int i = 0; i < cases.size(); i++) {
            QuietTenant.Dwell dwell = cases.get(i);
            String colour = COLOURS.get(i % COLOURS.size());
            StringBuilder points = new StringBuilder();
            double[] micros = dwell.dwellMicros();
            for (int j = 0; j < micros.length; j++) {
                points.append(String.format(Locale.ROOT, "%.1f,%.1f ", x(micros[j]), y((j + 1.0) / micros.length)));
            }
            svg.append("<polyline fill=\"none\" stroke-width=\"2\" stroke=\"")
                    .append(colour)
                    .append("\" points=\"")
                    .append(points)
                    .append("\"/>\n");
            text(svg, RIGHT + 12, TOP + 16 + 20.0 * i, "start", colour, dwell.name());
        }
        try {
            Files.writeString(file, svg.append("</svg>\n"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static double x(double micros) {
        double at = Math.max(LEAST, Math.min(MOST, Math.log10(Math.max(1, micros))));
        return LEFT + (at - LEAST) / (MOST - LEAST) * (RIGHT - LEFT);
    }

    private static double y(double part) {
        return BOTTOM - part * (BOTTOM - TOP);
    }

    private static void line(StringBuilder svg, double x1, double y1, double x2, double y2, String colour) {
        svg.append(String.format(
                Locale.ROOT,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>%n",
                x1,
                y1,
                x2,
                y2,
                colour));
    }

    private static void text(StringBuilder svg, double x, double y, String anchor, String colour, String text) {
        svg.append(String.format(
                Locale.ROOT,
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%s</text>%n",
                x,
                y,
                anchor,
                colour,
                text));
    }
}
