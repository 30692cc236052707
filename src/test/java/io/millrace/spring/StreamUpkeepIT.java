package io.millrace.spring;

import static io.millrace.spring.Shop.SOON;

import io.millrace.Millrace;
import io.millrace.MillraceSettings;
import io.millrace.stream.EntryId;
import io.millrace.testing.Eventually;
import io.millrace.testing.Namespace;
import io.millrace.testing.RedisServer;
import io.millrace.testing.RedisTest;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@RedisTest
class StreamUpkeepIT {

    @Test
    @DisplayName("what is wrong with one stream does not keep the others from being repaired; it is taken up again")
    void oneFails(RedisServer redis, @Namespace String namespace) {
        Millrace mill = Millrace.connect(MillraceSettings.of(redis.settings(namespace)));
        String foreign = namespace + ":stream:{articles/0}:notes";
        mill.redis().call("SET", foreign, "not a sorted set").block(SOON);
        StreamUpkeep upkeep = new StreamUpkeep(mill.streams(), Set.of("articles", "products"), Duration.ofMillis(300));
        upkeep.start();
        try {
            mill.streams().producer("products").delay("a").block(SOON);
            Eventually.await("repaired", SOON, () -> ids(mill, "products").equals(List.of("a")));
            mill.redis().call("DEL", foreign).block(SOON);
            mill.streams().producer("articles").delay("b").block(SOON);
            Eventually.await("taken up again", SOON, () -> ids(mill, "articles").equals(List.of("b")));
        } finally {
            upkeep.stop();
            mill.close();
        }
    }

    private static List<Object> ids(Millrace mill, String stream) {
        return mill.streams().stream(stream)
                .entries(EntryId.ZERO)
                .mapNotNull(entry -> entry.get("id"))
                .collectList()
                .block(SOON);
    }
}
