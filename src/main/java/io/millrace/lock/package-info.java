/**
 * Locks with a lease: {@link io.millrace.lock.Lock} is held by one owner at a time, who gets a number that rises with every holder (the
 * fence). What the owner changes elsewhere carries that number, so that a holder who slept through the end of its lease is refused
 * there; no clock but the server's decides. A release wakes the next one at once, a dead owner's lock is free when its lease ends.
 *
 * {@link io.millrace.lock.Membership} shares many locks evenly among the members of a group, and again when one comes or goes.
 *
 * <p>Every publisher is cold. Start reading at {@link io.millrace.lock.Lock#whileHeld}.
 */
@NullMarked
package io.millrace.lock;

import org.jspecify.annotations.NullMarked;
