package io.millrace.queue;

/**
 * What is set for one facet.
 *
 * @param weight its share; 0: paused
 * @param paused whether it is paused by name
 * @param cap its own cap, or {@link Cap#NONE}
 * @param rate its own rate, or {@link Rate#UNLIMITED}
 * @param limitWaiting how many messages it may have waiting; -1: what holds for each
 */
public record FacetPolicy(double weight, boolean paused, Cap cap, Rate rate, int limitWaiting) {

    static final FacetPolicy NONE = new FacetPolicy(1, false, Cap.NONE, Rate.UNLIMITED, -1);

    FacetPolicy with(char kind, String value) {
        return switch (kind) {
            case 'w' -> new FacetPolicy(Double.parseDouble(value), paused, cap, rate, limitWaiting);
            case 'p' -> new FacetPolicy(weight, true, cap, rate, limitWaiting);
            case 'c' -> new FacetPolicy(weight, paused, Cap.read(value), rate, limitWaiting);
            case 'r' -> new FacetPolicy(weight, paused, cap, Rate.read(value), limitWaiting);
            case 'l' -> new FacetPolicy(weight, paused, cap, rate, Integer.parseInt(value));
            default -> this;
        };
    }
}
