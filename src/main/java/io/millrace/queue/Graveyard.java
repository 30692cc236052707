package io.millrace.queue;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** The dead letters of all partitions of a queue as one. Their entries name the partition, {@code <ms>-<n>.<partition>}, but for the first. */
final class Graveyard {

    private static final Pattern ENTRY = Pattern.compile("(\\d{1,19}-\\d{1,19})(?:\\.([1-9]\\d?))?");

    private final Partitions partitions;

    Graveyard(Partitions partitions) {
        this.partitions = partitions;
    }

    @SuppressWarnings({"unchecked", "rawtypes"}) // an array of publishers
    Flux<DeadLetter> list() {
        return partitions
                .now()
                .flatMapMany(now -> now.size() == 1
                        ? now.all().get(0).deadLetters().list()
                        : Flux.mergeComparing(
                                1,
                                Comparator.comparing(DeadLetter::at),
                                now.all().stream()
                                        .map(partition ->
                                                partition.deadLetters().list())
                                        .toArray(Flux[]::new)));
    }

    Mono<Long> treat(DeadLetters.Fate fate, Collection<String> entries) {
        Map<Integer, List<String>> byPartition = new HashMap<>();
        for (String entry : entries) {
            Matcher form = ENTRY.matcher(entry);
            if (form.matches()) { // else there is none of that name
                String partition = form.group(2);
                byPartition
                        .computeIfAbsent(partition == null ? 0 : Integer.parseInt(partition), i -> new ArrayList<>())
                        .add(form.group(1));
            }
        }
        return partitions.sum(partition ->
                partition.deadLetters().treat(fate, byPartition.getOrDefault(partition.index(), List.of())));
    }

    /** All that are there when this begins, or those of one facet. */
    Mono<Long> treatAll(DeadLetters.Fate fate, @Nullable String facet) {
        return facet == null
                ? partitions.sum(partition -> partition.deadLetters().treatAll(fate, null))
                : partitions.of(facet, partition -> partition.deadLetters().treatAll(fate, facet));
    }
}
