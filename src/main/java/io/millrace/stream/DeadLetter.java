package io.millrace.stream;

/**
 * An entry a consumer could not handle.
 *
 * @param id where it stands among the dead letters; what {@link ChangeStream#retry} and {@link ChangeStream#drop} take
 * @param shard which shard it is of
 * @param entry what it was; its id is that of the stream
 * @param attempts how often it was tried
 * @param cause the last failure
 */
public record DeadLetter(EntryId id, int shard, StreamEntry entry, int attempts, String cause) {}
