package io.millrace.stream;

import java.time.Duration;
import java.util.List;

/**
 * An instance of a consumer that reads a stream of several shards together with others.
 *
 * @param member a word of its own for as long as it runs: the number of its process, and something random
 * @param shards which shards it reads; one that is to be its own is still its last reader's until that has committed
 * @param leaves after what time it counts as gone unless it is heard of again
 */
public record ConsumerMember(String member, List<Integer> shards, Duration leaves) {

    /** @param shards which shards it reads */
    public ConsumerMember {
        shards = List.copyOf(shards);
    }
}
