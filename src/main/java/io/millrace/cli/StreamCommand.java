package io.millrace.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(
        name = "stream",
        description = "Produce and consume changes, look after streams and their consumers.",
        mixinStandardHelpOptions = true,
        subcommands = {
            StreamCareCommands.Create.class,
            StreamProduceCommand.class,
            StreamConsumeCommand.class,
            StreamBackfillCommand.class,
            StreamViewCommands.ListAll.class,
            StreamViewCommands.Show.class,
            StreamViewCommands.Tail.class,
            StreamConsumerCommands.Register.class,
            StreamConsumerCommands.Members.class,
            StreamConsumerCommands.Seek.class,
            StreamConsumerCommands.Pause.class,
            StreamConsumerCommands.Resume.class,
            StreamConsumerCommands.DeadLetters.class,
            StreamCareCommands.Trim.class
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  seq 1 100 | millrace stream produce products",
            "  millrace stream consume products indexer --follow",
            "  millrace stream show products",
            "  millrace stream dead-letters products indexer --retry"
        })
final class StreamCommand implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "say what to do with streams: a command is missing");
    }
}
