package io.millrace.queue;

import io.millrace.queue.FairFacet.When;
import io.millrace.queue.FairFacet.Where;
import org.jspecify.annotations.Nullable;

/** What one pull means to one facet of a {@link FairModel}. */
final class FairTurn {

    private enum Limit {
        NONE,
        CAP,
        RATE
    }

    final FairFacet facet;
    private final FairModel model;
    private final boolean lease;
    private final double first;
    double key;
    long seq;
    boolean opened;
    boolean overCap;
    int left;

    @Nullable
    Where stand; // where it goes now; null: it waits on

    private int have;
    private int quota;
    private int bytes;
    private Limit limit = Limit.NONE;
    private When base = When.NOW;

    FairTurn(FairModel model, FairFacet facet, boolean lease, double key, long seq) {
        this.model = model;
        this.facet = facet;
        this.lease = lease;
        this.first = key;
        this.key = key;
        this.seq = seq;
    }

    /** How much it may have. */
    void open(boolean over) {
        opened = true;
        have = facet.size() + quota;
        limit = Limit.NONE;
        stand = null;
        left = 0;
        if (facet.stopped()) {
            stand = Where.PARKED;
        } else if (have == 0) {
            stand = Where.NOWHERE;
        } else if (model.strict && facet.heldUntil.ms() > 0) {
            stand = Where.THROTTLED;
            facet.throttledUntil = facet.heldUntil;
        } else {
            limit(over);
            left -= quota;
            if (left == 0) {
                stop();
            }
        }
    }

    private void limit(boolean over) {
        left = have;
        int most = over ? 0 : model.capOf(facet).messages();
        int room = most == 0 ? left : most - facet.inFlight;
        if (room < left && (lease || room <= 0)) { // what is taken for good is never in flight
            left = Math.max(0, room);
            limit = Limit.CAP;
        }
        Rate rate = model.rateOf(facet);
        if (rate.count() > 0) {
            base = model.base(facet.used, interval(), rate.burst());
            int may = FairModel.may(base, interval(), rate.burst());
            if (may < left) {
                left = may;
                limit = Limit.RATE;
            }
        }
    }

    private double interval() {
        Rate rate = model.rateOf(facet);
        return (double) rate.period().toMillis() / rate.count();
    }

    /** One of its messages goes. */
    FairFacet.Item serve(long order) {
        FairFacet.Item item = facet.hand(order);
        bytes += item.bytes;
        left--;
        quota++;
        key += 1 / facet.weight;
        if (left == 0 && quota == have) {
            stand = Where.NOWHERE;
        } else if (left == 0) {
            stop();
        }
        return item;
    }

    double reached() {
        return model.cost == Cost.MESSAGES ? key : first;
    }

    private void stop() {
        if (limit == Limit.RATE) {
            double slack = (model.rateOf(facet).burst() - 1) * interval();
            stand = Where.THROTTLED;
            facet.throttledUntil = new When(base.ms() + quota * interval() - slack, base.since());
        } else {
            stand = Where.PARKED;
        }
    }

    /** Whether only an elastic cap keeps it from more. */
    boolean aside() {
        return stand == Where.PARKED && limit == Limit.CAP && model.capOf(facet).elastic();
    }

    /** Writes down where it stands now. */
    void commit() {
        if (quota > 0 && model.rateOf(facet).count() > 0) {
            facet.used = new When(base.ms() + quota * interval(), base.since());
        }
        boolean over = overCap && stand == null;
        if (over) {
            stand = Where.PARKED;
        }
        if (quota > 0 && model.cost != Cost.MESSAGES) {
            double cost = model.cost == Cost.BYTES ? bytes / 1024.0 : quota * model.average;
            key = first + cost / facet.weight;
            if (stand != null && key > model.time) {
                facet.debt = key;
            }
        }
        facet.where = stand == null ? Where.FAIR : stand;
        facet.key = key;
        facet.seq = seq;
        boolean elastic = over || model.capOf(facet).elastic();
        facet.parkedAt = elastic && !facet.stopped() ? key : -1;
    }
}
