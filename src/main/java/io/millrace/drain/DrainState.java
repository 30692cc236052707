package io.millrace.drain;

import java.time.Duration;

/**
 * A drain and its dirty map, counted.
 *
 * @param stored batches that are safe and not done with
 * @param inFlight those of them that somebody processes
 * @param retried those of them that have failed at least once
 * @param oldestBatch how long the oldest of them has been there; zero if there is none
 * @param dirty URLs that wait to be swept
 * @param swept URLs that somebody sweeps
 * @param oldestDirty how long the oldest waiting URL has been dirty; zero if there is none
 */
public record DrainState(
        long stored, long inFlight, long retried, Duration oldestBatch, long dirty, long swept, Duration oldestDirty) {}
