package io.millrace.drain;

/**
 * A batch that was read and found good, ready to be stored.
 *
 * @param key what makes it this batch and no other
 * @param body its events as Routemaster writes them
 * @param events how many there are
 */
public record Incoming(byte[] key, byte[] body, int events) {}
