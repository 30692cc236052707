package io.millrace.queue;

import java.util.List;

/**
 * What one pull is to do.
 *
 * @param n how many elements it takes at most
 * @param acknowledge what it acknowledges along with it
 * @param maintain whether it looks for what is due
 * @param inTurn whether it must not run behind what is sent after it: it fails instead, and is not tried again by itself
 * @param gaveAll is run when as many as asked for are here, before they are read; who takes from several places may leave it out
 */
record PullRequest(int n, List<Receipt> acknowledge, boolean maintain, boolean inTurn, Runnable gaveAll) {

    /** One that nothing is sent behind. */
    static PullRequest alone(int n, List<Receipt> acknowledge, boolean maintain) {
        return new PullRequest(n, acknowledge, maintain, false, () -> {});
    }
}
