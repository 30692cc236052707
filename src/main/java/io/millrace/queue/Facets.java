package io.millrace.queue;

import java.nio.charset.StandardCharsets;

/**
 * Which partition a facet is in. Producers and consumers of all versions must agree on it: FNV-1a of 64 bits over the facet's UTF-8,
 * mixed once more (the finalizer of MurmurHash3), as an unsigned number modulo the number of partitions.
 */
final class Facets {

    private static final long BASIS = 0xcbf29ce484222325L;
    private static final long PRIME = 0x100000001b3L;

    private Facets() {}

    static int partition(String facet, int partitions) {
        return partitions == 1 ? 0 : (int) Long.remainderUnsigned(hash(facet), partitions);
    }

    private static long hash(String facet) {
        long hash = BASIS;
        for (byte b : facet.getBytes(StandardCharsets.UTF_8)) {
            hash = (hash ^ (b & 0xff)) * PRIME;
        }
        hash = (hash ^ (hash >>> 33)) * 0xff51afd7ed558ccdL;
        hash = (hash ^ (hash >>> 33)) * 0xc4ceb9fe1a85ec53L;
        return hash ^ (hash >>> 33);
    }
}
