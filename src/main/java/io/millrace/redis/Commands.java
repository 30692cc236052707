package io.millrace.redis;

import io.lettuce.core.RedisNoScriptException;
import io.lettuce.core.cluster.api.reactive.RedisClusterReactiveCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.protocol.ProtocolKeyword;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import reactor.core.publisher.Mono;

/** Commands as they are given to the driver. */
final class Commands {

    private Commands() {}

    /** By its digest, and as a whole when the server does not know it. */
    static Mono<Object> eval(
            RedisClusterReactiveCommands<byte[], byte[]> commands,
            LuaScript<?> script,
            List<byte[]> keys,
            List<byte[]> args) {
        return evalKnown(commands, script, keys, args)
                .onErrorResume(
                        RedisNoScriptException.class,
                        unknown -> dispatch(
                                commands,
                                CommandType.EVAL,
                                new ScriptArguments(script.source().textBytes(), keys, args)));
    }

    /** By its digest only. */
    static Mono<Object> evalKnown(
            RedisClusterReactiveCommands<byte[], byte[]> commands,
            LuaScript<?> script,
            List<byte[]> keys,
            List<byte[]> args) {
        return dispatch(
                commands,
                CommandType.EVALSHA,
                new ScriptArguments(script.source().digest(), keys, args));
    }

    /** One command. */
    static Mono<Object> dispatch(
            RedisClusterReactiveCommands<byte[], byte[]> commands,
            ProtocolKeyword name,
            CommandArgs<byte[], byte[]> args) {
        return commands.dispatch(name, new ReplyOutput(), args).next();
    }

    /** What follows a command's name; bytes as they are. */
    static CommandArgs<byte[], byte[]> arguments(Object... words) {
        CommandArgs<byte[], byte[]> args = new CommandArgs<>(ByteArrayCodec.INSTANCE);
        for (Object word : words) {
            if (word instanceof byte[] bytes) {
                args.addKey(bytes);
            } else {
                args.add(word.toString());
            }
        }
        return args;
    }

    /** A command by its name. */
    static ProtocolKeyword keyword(String name) {
        byte[] bytes = name.toUpperCase(Locale.ROOT).getBytes(StandardCharsets.US_ASCII);
        return new ProtocolKeyword() {
            @Override
            public byte[] getBytes() {
                return bytes;
            }

            @Override
            public String toString() {
                return name;
            }
        };
    }
}
