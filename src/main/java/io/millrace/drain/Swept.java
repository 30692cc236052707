package io.millrace.drain;

import org.jspecify.annotations.Nullable;

/**
 * What came of sweeping one URL.
 *
 * @param url the URL
 * @param clean whether it is clean now; if not, it stays dirty: its cleaner said no or failed, it was marked meanwhile, or the lease ended
 * @param error why its cleaner failed; {@code null} if it did not
 */
public record Swept(String url, boolean clean, @Nullable Throwable error) {}
