package io.millrace.queue;

import io.millrace.redis.Reply;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What is leased of a queue at one moment, looked at from Redis: also what no handler has yet, and what nobody will ever end.
 *
 * @param mostOfFacet of the facet that has most
 * @param all of all partitions
 */
record InFlight(long mostOfFacet, long all) {

    private static final String LOOK = """
            local counts, most, all = {}, 0, 0
            for _, unit in ipairs(ARGV) do
              for _, profile in ipairs(redis.call('SMEMBERS', unit .. 'leases')) do
                for _, entry in ipairs(redis.call('XRANGE', unit .. 'l:' .. profile, '-', '+')) do
                  for i = 2, #entry[2], 2 do
                    local facet = cjson.decode(entry[2][i]).environment
                    counts[facet] = (counts[facet] or 0) + 1
                    all, most = all + 1, math.max(most, counts[facet])
                  end
                end
              end
            end
            return {most, all}
            """;

    static InFlight look(QueueRig rig) {
        List<Object> words = new ArrayList<>(List.of(LOOK, 0));
        IntStream.range(0, rig.partitions).forEach(i -> words.add(rig.key(i, "")));
        Reply now = rig.raw("EVAL", words.toArray());
        return new InFlight(now.number(0), now.number(1));
    }
}
