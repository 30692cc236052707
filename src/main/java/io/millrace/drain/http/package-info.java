/**
 * The drain's edge on Reactor Netty: {@link io.millrace.drain.http.DrainServer} mounts a drain at a path of any server. It bounds what
 * strangers can make it hold, and answers 204 only when a batch is safe.
 */
@NullMarked
package io.millrace.drain.http;

import org.jspecify.annotations.NullMarked;
