package io.millrace.queue;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** The dead letters of all partitions of a queue as one. Their entries name the partition, {@code <ms>-<n>.<partition>}, but for the first. */
final class Graveyard {

    private static final Pattern ENTRY = Pattern.compile("(\\d{1,18}-\\d{1,18})(?:\\.([1-9]\\d?))?");

    /** Behind all entries of a millisecond. */
    private static final String LAST = "-18446744073709551615";

    private final Partitions partitions;

    Graveyard(Partitions partitions) {
        this.partitions = partitions;
    }

    Flux<DeadLetter> list() {
        return list(partition -> DeadLetters.FIRST);
    }

    /** Those behind an entry, which need not be there any more. */
    Flux<DeadLetter> listAfter(String entry) {
        Matcher form = ENTRY.matcher(entry);
        if (!form.matches()) {
            throw new IllegalArgumentException(
                    "\"" + entry + "\" is no entry of a dead letter; one looks like 1790000000000-0");
        }
        int before = partition(form);
        String id = form.group(1);
        String ms = id.substring(0, id.indexOf('-'));
        return list(partition -> partition == before ? id : partition < before ? ms + LAST : DeadLetters.before(ms));
    }

    /** By time, then by partition; within one by entry. */
    @SuppressWarnings({"unchecked", "rawtypes"}) // an array of publishers
    private Flux<DeadLetter> list(IntFunction<String> behind) {
        return partitions
                .now()
                .flatMapMany(now -> now.size() == 1
                        ? now.all().get(0).deadLetters().list(behind.apply(0))
                        : Flux.mergeComparing(
                                1,
                                Comparator.comparing(DeadLetter::at).thenComparing(Graveyard::partition),
                                now.all().stream()
                                        .map(one -> one.deadLetters().list(behind.apply(one.index())))
                                        .toArray(Flux[]::new)));
    }

    private static int partition(DeadLetter letter) {
        int dot = letter.entry().indexOf('.');
        return dot < 0 ? 0 : Integer.parseInt(letter.entry().substring(dot + 1));
    }

    private static int partition(Matcher form) {
        String partition = form.group(2);
        return partition == null ? 0 : Integer.parseInt(partition);
    }

    Mono<Long> treat(DeadLetters.Fate fate, Collection<String> entries) {
        Map<Integer, List<String>> byPartition = new HashMap<>();
        for (String entry : entries) {
            Matcher form = ENTRY.matcher(entry);
            if (form.matches()) { // else there is none of that name
                byPartition
                        .computeIfAbsent(partition(form), i -> new ArrayList<>())
                        .add(form.group(1));
            }
        }
        return partitions.sum(partition ->
                partition.deadLetters().treat(fate, byPartition.getOrDefault(partition.index(), List.of())));
    }

    Mono<Long> dropBefore(Instant time) {
        return partitions.sum(partition -> partition.deadLetters().dropBefore(time));
    }

    /** All that are there when this begins, or those of one facet. */
    Mono<Long> treatAll(DeadLetters.Fate fate, @Nullable String facet) {
        return facet == null
                ? partitions.sum(partition -> partition.deadLetters().treatAll(fate, null))
                : partitions.of(facet, partition -> partition.deadLetters().treatAll(fate, facet));
    }
}
