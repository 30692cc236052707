package io.millrace.cli;

import io.millrace.server.ServerDoctor;
import io.millrace.server.Shapes;
import java.util.List;
import java.util.Objects;
import picocli.CommandLine.Command;

@Command(
        name = "doctor",
        description = "Check whether a Redis server is fit for Millrace, and say what each finding means.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  millrace --redis redis://localhost doctor",
            "  millrace --redis redis://localhost doctor 2>/dev/null | jq -c 'select(.level != \"ok\")'",
            "",
            "Exit codes: 0 all is well, 1 warnings, 2 errors, or the server cannot be reached."
        })
final class DoctorCommand extends Action {

    @Override
    boolean losesWithoutDisk() {
        return false; // the findings say so
    }

    @Override
    int run(Session session) {
        Console console = session.console();
        List<ServerDoctor.Finding> findings = Objects.requireNonNull(
                new ServerDoctor(session.mill(), session.isEmbedded()).examine().block());
        console.say("Redis at " + session.shownAddress());
        for (ServerDoctor.Finding finding : findings) {
            console.data(Shapes.finding(finding));
            console.say(String.format("%-9s%-22s%s", finding.level().word(), finding.check(), finding.value()));
            console.say(" ".repeat(9) + finding.meaning());
            if (!finding.advice().isEmpty()) {
                console.say(" ".repeat(9) + finding.advice());
            }
        }
        return exitCode(ServerDoctor.worst(findings));
    }

    static int exitCode(ServerDoctor.Level worst) {
        return switch (worst) {
            case OK -> Main.DONE;
            case WARNING -> Main.PARTLY;
            case ERROR -> Main.FAILED;
        };
    }
}
