package io.millrace.cli;

import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

@Command(
        name = "completion",
        description = "Print a script with which bash and zsh complete this command line.",
        mixinStandardHelpOptions = true,
        footer = "%nExample: alias millrace='java -jar millrace.jar'; source <(millrace completion)")
final class CompletionCommand implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        spec.commandLine()
                .getOut()
                .println(AutoComplete.bash("millrace", spec.root().commandLine()));
    }
}
