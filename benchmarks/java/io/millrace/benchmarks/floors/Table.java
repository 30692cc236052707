package io.millrace.benchmarks.floors;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Figures of several repetitions: rows by name, each with the median of every column. */
final class Table {

    private final Map<String, Map<String, List<Double>>> rows = new LinkedHashMap<>();

    /** Forgets everything: that was to warm up. */
    void clear() {
        rows.clear();
    }

    void add(String row, String column, double value) {
        rows.computeIfAbsent(row, key -> new LinkedHashMap<>())
                .computeIfAbsent(column, key -> new ArrayList<>())
                .add(value);
    }

    double median(String row, String column) {
        double[] values =
                rows.get(row).get(column).stream().mapToDouble(v -> v).sorted().toArray();
        return values[values.length / 2];
    }

    boolean has(String row, String column) {
        return rows.containsKey(row) && rows.get(row).containsKey(column);
    }

    /** Markdown, medians with least and most in brackets. */
    String markdown(String... columns) {
        StringBuilder text = new StringBuilder("| case | " + String.join(" | ", columns) + " |\n|---");
        Arrays.stream(columns).forEach(column -> text.append("|---"));
        text.append("|\n");
        for (String row : rows.keySet()) {
            text.append("| ").append(row);
            for (String column : columns) {
                text.append(" | ");
                if (has(row, column)) {
                    double[] values = rows.get(row).get(column).stream()
                            .mapToDouble(v -> v)
                            .sorted()
                            .toArray();
                    text.append(shown(values[values.length / 2]))
                            .append(" (")
                            .append(shown(values[0]))
                            .append("–")
                            .append(shown(values[values.length - 1]))
                            .append(")");
                }
            }
            text.append(" |\n");
        }
        return text.toString();
    }

    private static String shown(double value) {
        return value >= 1000
                ? String.format(Locale.ROOT, "%,.0f", value)
                : String.format(Locale.ROOT, value >= 100 ? "%.0f" : "%.2f", value);
    }
}
