package io.millrace.queue;

/** How a queue is registered, besides its name and pattern. Immutable. */
public final class QueueOptions {

    /** The most partitions a queue has. */
    public static final int MAX_PARTITIONS = 64;

    private final Admission admission;
    private final int partitions;

    private QueueOptions(Builder builder) {
        this.admission = builder.admission;
        this.partitions = builder.partitions;
    }

    /** Everything by default. */
    public static QueueOptions defaults() {
        return builder().build();
    }

    /** A builder with everything by default. */
    public static Builder builder() {
        return new Builder();
    }

    /** A builder with these values. */
    public Builder mutate() {
        Builder builder = builder().admission(admission);
        builder.partitions = partitions;
        return builder;
    }

    /** How many messages each facet may have waiting. */
    public Admission admission() {
        return admission;
    }

    /** How many partitions the queue is to have; 0: as many as it has, a new one gets one. */
    public int partitions() {
        return partitions;
    }

    /** Collects options; each setter checks its own value. */
    public static final class Builder {

        private Admission admission = Admission.UNLIMITED;
        private int partitions;

        private Builder() {}

        /** How many messages each facet may have waiting. Defaults to as many as it likes. */
        public Builder admission(Admission admission) {
            this.admission = admission;
            return this;
        }

        /**
         * On how many units of their own its facets are spread, each with a slot of its own: with Redis Cluster the queue is then as
         * large and as fast as several masters allow. Defaults to what the queue has, one for a new queue. It stays for as long as
         * there is anything of the queue: to change it, drain the queue, destroy it, and register it again.
         *
         * @param partitions 1 to {@value #MAX_PARTITIONS}
         */
        public Builder partitions(int partitions) {
            this.partitions = Check.between("partitions", partitions, 1, MAX_PARTITIONS);
            return this;
        }

        /** The options. */
        public QueueOptions build() {
            return new QueueOptions(this);
        }
    }
}
