package io.millrace.stream;

import java.time.Duration;

/** Refuses values out of range, naming the option, the range and the value. */
final class Check {

    private Check() {}

    static Duration between(String option, Duration value, Duration least, Duration most) {
        if (value.compareTo(least) < 0 || value.compareTo(most) > 0) {
            throw new IllegalArgumentException(option + " must be " + least + " to " + most + ", was " + value);
        }
        return value;
    }

    static int between(String option, int value, int least, int most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(option + " must be " + least + " to " + most + ", was " + value);
        }
        return value;
    }
}
