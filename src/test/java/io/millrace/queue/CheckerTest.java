package io.millrace.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.millrace.Event;
import io.millrace.queue.Checker.Cause;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A checker that cannot fail proves nothing: one seeded history for each thing it must find. */
class CheckerTest {

    private final Checker checker = new Checker();

    @Test
    void passesWhatIsRight() {
        stored("a", "A");
        stored("b", "A");
        checker.attempted(event("never", "A"));
        checker.indeterminate("never");
        assertThat(checker.allFinished()).isFalse();
        got("a", 1, "1000-0");
        got("b", 1, "1001-0");
        checker.ackAnswered(receipt("1000-0"), true);
        checker.ackAnswered(receipt("1000-0"), false);
        got("b", 2, "1101-0"); // its lease of 100 ms was over
        checker.ackAnswered(receipt("1001-0"), false);
        checker.ackAnswered(receipt("1101-0"), true);
        assertThat(checker.drained()).isTrue();
        assertThat(checker.allFinished()).isTrue();
        assertThat(checker.check()).isEqualTo(new Checker.Summary(3, 2, 1, 2, 1));
    }

    @Test
    void findsWhatWasLost() {
        stored("a", "A");
        stored("b", "A");
        got("a", 1, "1000-0");
        assertThat(checker.drained()).isFalse();
        fails("LOST b");
    }

    @Test
    void findsWhatVanishedWithItsConsumer() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.explain("a", Cause.CRASH);
        assertThat(checker.drained()).isTrue();
        assertThat(checker.allFinished()).isFalse();
        fails("UNFINISHED a");
    }

    @Test
    void anAcknowledgementThatWasRefusedIsNoEndUnlessAnswersGetLost() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.ackAnswered(receipt("1000-0"), false);
        fails("UNFINISHED a");
        checker.lossy().check();
    }

    @Test
    void anAcknowledgementWithoutAnswerMayBeTheEnd() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.extended(receipt("1000-0"), receipt("1050-0"));
        checker.ackUnanswered(receipt("1000-0"));
        fails("UNFINISHED a");
        checker.ackUnanswered(receipt("1050-0"));
        checker.check();
    }

    @Test
    void whatAHandlerGotIsFinishedWhenItSaysSoAndWhatWasPulledIsSoAtOnce() {
        stored("a", "A");
        stored("b", "A");
        checker.begun("a", "A", 1);
        checker.handedOut("b", "A", 1, null);
        fails("UNFINISHED a");
        checker.finished("a");
        checker.check();
    }

    @Test
    void aHandlersLeaseIsOverByTimeOrNeedsAReason() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.begun("a", "A", 2, 1100, 100);
        checker.begun("a", "A", 3, 1200, 100);
        got("a", 4, "1300-0");
        checker.finished("a");
        checker.check();
        checker.begun("a", "A", 5, 1399, 100);
        fails("UNEXPLAINED duplicate a");
        checker.begun("a", "A", 6, 1450, 100);
        checker.killed("a", 5);
        fails("UNEXPLAINED duplicate a (attempt 5");
    }

    @Test
    void aKilledHandlerExplainsTheNextAttemptAndNoOther() {
        stored("a", "A");
        got("a", 1, "1000-0");
        got("a", 2, "1100-0");
        checker.begun("a", "A", 3, 1200, 100);
        checker.killed("a", 3);
        got("a", 4, "1290-0"); // what its handler got it at is later than its lease began
        checker.finished("a");
        checker.check();
        checker.begun("a", "A", 5, 1390, 100);
        got("a", 6, "1480-0");
        fails("UNEXPLAINED duplicate a (attempt 6");
    }

    @Test
    void aDeadLetterIsFinished() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.buried("a");
        checker.check();
    }

    @Test
    void aDeadLetterIsNotLost() {
        stored("a", "A");
        checker.buried("a");
        checker.check();
    }

    @Test
    void findsWhatNobodyDelivered() {
        got("ghost", 1, "1000-0");
        fails("PHANTOM ghost");
    }

    @Test
    void findsWhatWasSaidNotToBeStored() {
        checker.attempted(event("a", "A"));
        checker.refused("a");
        got("a", 1, "1000-0");
        fails("PHANTOM a");
    }

    @Test
    void findsAMessageInAnotherFacet() {
        stored("a", "A");
        checker.handedOut("a", "B", 1, receipt("1000-0"));
        fails("WRONG FACET a");
    }

    @Test
    void findsADuplicateWithoutReason() {
        stored("a", "A");
        checker.handedOut("a", "A", 1, null);
        checker.handedOut("a", "A", 2, null);
        fails("UNEXPLAINED duplicate a");
    }

    @Test
    void aReasonExplainsOneDuplicateNotTwo() {
        stored("a", "A");
        checker.handedOut("a", "A", 1, null);
        checker.explain("a", Cause.CRASH);
        checker.handedOut("a", "A", 2, null);
        checker.check();
        checker.handedOut("a", "A", 3, null);
        fails("UNEXPLAINED duplicate a");
    }

    @Test
    void findsTwoLeasesAtOnce() {
        stored("a", "A");
        got("a", 1, "1000-0");
        got("a", 2, "1099-0");
        fails("TWO LIVE LEASES of a");
    }

    @Test
    void aCrashDoesNotEndALeaseButGivingBackDoes() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.explain("a", Cause.RELEASED);
        got("a", 1, "1010-0");
        checker.finished("a");
        checker.check();
        checker.explain("a", Cause.CRASH);
        got("a", 2, "1050-0");
        fails("TWO LIVE LEASES of a");
    }

    @Test
    void anExtensionMakesALeaseLonger() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.extended(receipt("1000-0"), receipt("1050-0"));
        got("a", 2, "1120-0");
        fails("TWO LIVE LEASES of a");
    }

    @Test
    void findsWhatCameAfterItsAcknowledgement() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.ackAnswered(receipt("1000-0"), true);
        got("a", 2, "9000-0");
        fails("AFTER ITS ACKNOWLEDGEMENT");
    }

    @Test
    void aCrashDoesNotExcuseWhatWasAcknowledged() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.ackAnswered(receipt("1000-0"), true);
        checker.explainAll(Cause.CRASH);
        got("a", 2, "9000-0");
        fails("AFTER ITS ACKNOWLEDGEMENT");
    }

    @Test
    void findsWrongOrderInsideAFacetOnly() {
        stored("a1", "A");
        stored("b1", "B");
        stored("a2", "A");
        got("b1", "B", 1, "1000-0");
        got("a1", 1, "1000-1");
        got("a2", 1, "1000-2");
        List.of("a1", "a2", "b1").forEach(checker::finished);
        checker.check();
        stored("a3", "A");
        stored("a4", "A");
        got("a4", 1, "1000-10");
        got("a3", 1, "1001-0");
        fails("ORDER of facet A: a4 came before a3");
    }

    @Test
    void findsAnAcceptedAcknowledgementOfAnEarlierHolder() {
        stored("a", "A");
        got("a", 1, "1000-0");
        got("a", 2, "1200-0");
        checker.ackAnswered(receipt("1000-0"), true);
        fails("STALE");
    }

    @Test
    void findsAnAcceptedAcknowledgementUnderAReceiptThatWasReplaced() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.extended(receipt("1000-0"), receipt("1050-0"));
        checker.ackAnswered(receipt("1000-0"), true);
        fails("STALE");
    }

    @Test
    void findsAnAcknowledgementAcceptedTwice() {
        stored("a", "A");
        got("a", 1, "1000-0");
        checker.ackAnswered(receipt("1000-0"), true);
        checker.ackAnswered(receipt("1000-0"), true);
        fails("STALE");
    }

    private void stored(String id, String facet) {
        checker.attempted(event(id, facet));
        checker.acknowledged(id);
    }

    private void got(String id, int attempt, String entry) {
        got(id, "A", attempt, entry);
    }

    private void got(String id, String facet, int attempt, String entry) {
        checker.handedOut(id, facet, attempt, receipt(entry));
    }

    private void fails(String with) {
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(checker::check)
                .withMessageContaining(with);
    }

    private static Receipt receipt(String entry) {
        return new Receipt("100.20", entry);
    }

    private static Event event(String id, String facet) {
        return Event.of(facet, "test", id).withId(id);
    }

    @Test
    void whatWasConfirmedRightBeforeAFailoverMayBeMissingAndIsReported() {
        checker.attempted(event("1", "a"));
        checker.acknowledged("1");
        checker.failedOver(Duration.ofMinutes(1));
        assertThat(checker.lostTail()).containsExactly("1");
        assertThat(checker.check().delivered()).isZero();
        checker.attempted(event("2", "a"));
        checker.acknowledged("2"); // after it: no excuse
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(checker::check)
                .withMessageContaining("LOST 2")
                .withMessageNotContaining("LOST 1");
    }

    @Test
    void whatWasAcknowledgedRightBeforeAFailoverMayComeAgain() {
        checker.attempted(event("1", "a"));
        checker.acknowledged("1");
        checker.handedOut("1", "a", 1, new Receipt("30000.20", "1000-0"));
        checker.ackAnswered(new Receipt("30000.20", "1000-0"), true);
        checker.failedOver(Duration.ofMinutes(1));
        checker.handedOut("1", "a", 1, new Receipt("30000.20", "2000-0"));
        assertThat(checker.check().duplicates()).isEqualTo(1);
        checker.ackAnswered(new Receipt("30000.20", "2000-0"), true);
        checker.handedOut("1", "a", 2, new Receipt("30000.20", "3000-0"));
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(checker::check)
                .withMessageContaining("AFTER ITS ACKNOWLEDGEMENT");
    }
}
