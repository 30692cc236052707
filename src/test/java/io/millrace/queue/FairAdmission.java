package io.millrace.queue;

import io.millrace.queue.Admission.Overflow;
import io.millrace.queue.FairFacet.Item;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** How messages come into a {@link FairModel}, by its limits. */
final class FairAdmission {

    static final String QUEUED = "queued";
    static final String DUPLICATE = "duplicate";
    static final String REFUSED = "refused";

    final Map<String, Item> delayed = new TreeMap<>();
    Admission limits = Admission.UNLIMITED;
    private final Set<String> ids = new HashSet<>();
    private final FairModel model;

    FairAdmission(FairModel model) {
        this.model = model;
    }

    private boolean oldest() {
        return limits.overflow() == Overflow.OLDEST;
    }

    /** What would become of it: a word from above, or the id of the one that makes room. */
    String deliver(Item item) {
        FairFacet facet = model.facet(item.facet);
        if (ids.contains(item.id)) {
            return DUPLICATE;
        }
        int most = limitOf(facet);
        if (most > 0 && limits.overflow() == Overflow.NEWEST) {
            Item old = facet.fresh.stream()
                    .limit(most)
                    .filter(one -> one.name.equals(item.name))
                    .findFirst()
                    .orElse(null);
            if (old != null) {
                replace(facet, old, item);
                return old.id;
            }
        }
        if (most > 0 && facet.size() + (oldest() ? 0 : promised(item.facet)) >= most) {
            if (!oldest() || facet.fresh.isEmpty()) {
                return REFUSED;
            }
            ids.add(item.id);
            facet.fresh.add(item);
            return facet.fresh.remove().id;
        }
        ids.add(item.id);
        model.join(facet, item);
        return QUEUED;
    }

    private void replace(FairFacet facet, Item old, Item item) {
        ids.add(item.id);
        List<Item> all = new ArrayList<>(facet.fresh);
        all.set(all.indexOf(old), item);
        facet.fresh.clear();
        facet.fresh.addAll(all);
    }

    /** Whether one more of it would be refused. */
    boolean refuses(Item item) {
        FairFacet facet = model.facet(item.facet);
        int most = limitOf(facet);
        return most > 0 && !ids.contains(item.id) && facet.size() + promised(item.facet) >= most;
    }

    /** As {@link #deliver}. */
    String delay(Item item) {
        if (ids.contains(item.id)) {
            return DUPLICATE;
        }
        FairFacet facet = model.facet(item.facet);
        int most = limitOf(facet);
        if (most > 0) {
            if (promised(item.facet) + (oldest() ? 0 : facet.size()) >= most) {
                return REFUSED;
            }
            item.promised = true;
            item.displacesAt = oldest() ? most : 0;
        }
        ids.add(item.id);
        delayed.put(item.id, item);
        return QUEUED;
    }

    private int limitOf(FairFacet facet) {
        return limits.limit() > 0 && facet.ownLimit >= 0 ? facet.ownLimit : limits.limit();
    }

    private int promised(String facet) {
        return (int) delayed.values().stream()
                .filter(item -> item.promised && item.facet.equals(facet))
                .count();
    }

    void cancel(String id) {
        delayed.remove(id);
        ids.remove(id);
    }

    void due(String id) {
        Item item = delayed.remove(id);
        FairFacet facet = model.facet(item.facet);
        if (item.displacesAt == 0 || facet.size() < item.displacesAt) {
            model.join(facet, item);
        } else if (facet.fresh.isEmpty()) {
            model.buryUntried(item);
        } else {
            facet.fresh.add(item);
            model.buryUntried(facet.fresh.remove());
        }
    }
}
