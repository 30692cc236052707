package io.millrace;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnitAccess;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.reactivestreams.Publisher;

/** Who may import whom, and who may subscribe. */
class ArchitectureTest {

    /** Classes that tie everything together; everything else in the root package is a word everybody shares. */
    private static final Set<String> FACADE = Set.of("io.millrace.Millrace", "io.millrace.MillraceSettings");

    /** Package, and the packages it may use besides the shared words and itself. */
    private static final Map<String, List<String>> MAY_USE = Map.ofEntries(
            Map.entry("redis", List.of()),
            Map.entry("json", List.of()),
            Map.entry("lock", List.of("redis")),
            Map.entry("queue", List.of("redis", "json", "lock")),
            Map.entry("stream", List.of("redis", "json", "lock")),
            Map.entry("ipc", List.of("redis", "json", "lock")),
            Map.entry("quest", List.of("queue", "redis", "json", "lock")),
            Map.entry("resource", List.of("redis", "json")),
            Map.entry("drain", List.of("redis", "json", "queue", "resource")),
            Map.entry(
                    "server", List.of("redis", "json", "lock", "queue", "stream", "ipc", "quest", "resource", "drain")),
            // The commands speak of queues, streams, addresses and JSON themselves: hiding those words behind server
            // would only
            // repeat them.
            Map.entry("cli", List.of("server", "queue", "stream", "drain", "redis", "json")),
            Map.entry(
                    "spring",
                    List.of(
                            "redis",
                            "json",
                            "lock",
                            "queue",
                            "stream",
                            "ipc",
                            "quest",
                            "resource",
                            "drain",
                            "server")));

    /** Library, and the only packages that may know it. */
    private static final Map<String, List<String>> KNOWN_ONLY_TO = Map.ofEntries(
            Map.entry("io.lettuce", List.of("redis")),
            Map.entry("tools.jackson", List.of("json")),
            Map.entry("reactor.netty", List.of("resource", "drain.http", "server")),
            Map.entry("io.github.resilience4j", List.of("resource")),
            Map.entry("org.springframework", List.of("spring")),
            Map.entry("io.r2dbc", List.of("spring")),
            Map.entry("org.hibernate", List.of("spring")),
            Map.entry("jakarta.persistence", List.of("spring")),
            Map.entry("picocli", List.of("cli")),
            Map.entry("me.tongfei", List.of("cli")),
            Map.entry("ch.qos.logback", List.of("cli")));

    /**
     * Classes outside of server and cli that may subscribe or block, each with its reason. Long-lived components whose
     * outermost {@code start()} subscribes belong here; nested classes come with the class that holds them.
     */
    private static final Set<String> MAY_SUBSCRIBE = Set.of(
            // Calls that belong to all who wait for them: the cancel of one must not end them for the others.
            "io.millrace.redis.GroupCommit",
            // Work that takes something from the server runs to its end, so that it can be given back.
            "io.millrace.redis.Detached",
            // SUBSCRIBE and UNSUBSCRIBE belong to all listeners of a channel.
            "io.millrace.redis.PubSub",
            // The outermost start of a long-lived component, disposed of by Redis.close().
            "io.millrace.redis.ServerClock",
            "io.millrace.redis.Heartbeat",
            // A lock that was on its way to somebody who has gone is given back.
            "io.millrace.lock.Lock",
            // The outermost start of a long-lived component; run() is the same for those who own its subscription.
            "io.millrace.drain.Drain",
            // The one place where a thread that works waits: JDBC blocks it anyway, and a commit must not come before
            // its repair
            // notes.
            // What follows the commit is nobody's to wait for.
            "io.millrace.spring.HibernateChanges",
            // An application context that closes waits for the end of its beans.
            "io.millrace.spring.MillraceFactory",
            // The outermost start of a long-lived component, disposed of by stop().
            "io.millrace.spring.StreamUpkeep",
            // close() of AutoCloseable: shutdown() is the same for those who want to wait.
            "io.millrace.Millrace");

    /** Methods of publishers that start the work, most of them by waiting for it. */
    private static final Set<String> SUBSCRIBING = Set.of(
            "subscribe",
            "subscribeWith",
            "block",
            "blockOptional",
            "blockFirst",
            "blockLast",
            "toFuture",
            "toIterable",
            "toStream",
            "connect");

    private static final JavaClasses MAIN = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("io.millrace");

    static Stream<String> packages() {
        return MAY_USE.keySet().stream().sorted();
    }

    static Stream<String> libraries() {
        return KNOWN_ONLY_TO.keySet().stream().sorted();
    }

    @ParameterizedTest
    @MethodSource("packages")
    void aPackageUsesOnlyWhatItIsAllowedTo(String name) {
        DescribedPredicate<JavaClass> ours = resideInAPackage("io.millrace..");
        DescribedPredicate<JavaClass> allowed = resideInAnyPackage(Stream.concat(
                        Stream.of("io.millrace", in(name)),
                        MAY_USE.get(name).stream().map(ArchitectureTest::in))
                .toArray(String[]::new));
        noClasses()
                .that()
                .resideInAPackage(in(name))
                .should()
                .dependOnClassesThat(ours.and(not(allowed)))
                .because(name + " may use only " + MAY_USE.get(name))
                .check(MAIN);
    }

    @Test
    void everyPackageHasARule() {
        classes()
                .that()
                .resideOutsideOfPackage("io.millrace")
                .should()
                .resideInAnyPackage(
                        MAY_USE.keySet().stream().map(ArchitectureTest::in).toArray(String[]::new))
                .check(MAIN);
    }

    @ParameterizedTest
    @MethodSource("libraries")
    void aLibraryIsKnownOnlyToItsPackages(String library) {
        noClasses()
                .that()
                .resideOutsideOfPackages(KNOWN_ONLY_TO.get(library).stream()
                        .map(ArchitectureTest::in)
                        .toArray(String[]::new))
                .and(not(isOneOf(FACADE))) // takes a ready-made Lettuce client, and hands it on
                .should()
                .dependOnClassesThat()
                .resideInAPackage(library + "..")
                .check(MAIN);
    }

    @Test
    void packagesHaveNoCycles() {
        // Of the root package only the words are used from below, see the next two rules, so it is no slice.
        slices().matching("io.millrace.(*)..").should().beFreeOfCycles().check(MAIN);
    }

    @Test
    void theFacadeIsUsedOnlyFromOutside() {
        noClasses()
                .that()
                .resideOutsideOfPackages("io.millrace", in("server"), in("cli"), in("spring"))
                .should()
                .dependOnClassesThat(isOneOf(FACADE))
                .check(MAIN);
    }

    @Test
    void sharedWordsKnowNothingAndDoNoInputOrOutput() {
        noClasses()
                .that()
                .resideInAPackage("io.millrace")
                .and(not(isOneOf(FACADE)))
                .should()
                .dependOnClassesThat(isOneOf(FACADE)
                        .or(resideInAPackage("io.millrace.*..")
                                .and(not(resideInAPackage(in("json"))))) // data as a type
                        .or(resideInAnyPackage("java.io..", "java.net..", "java.nio.file..", "java.nio.channels.."))
                        .and(not(isOneOf(Set.of("java.io.Serializable", "java.net.URI")))))
                .check(MAIN);
    }

    @Test
    void onlyTheOutermostSubscribes() {
        classes()
                .that()
                .resideOutsideOfPackages(in("server"), in("cli"))
                .and(not(isOneOf(MAY_SUBSCRIBE)))
                .should(notCallOn(Publisher.class, SUBSCRIBING))
                .because("what a user is given is cold; those who may subscribe are listed in MAY_SUBSCRIBE")
                .check(MAIN);
    }

    @Test
    void nothingSleeps() {
        classes().should(notCallOn(Thread.class, Set.of("sleep"))).check(MAIN);
    }

    @Test
    void nothingIsSerialisedByJava() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .belongToAnyOf(ObjectInputStream.class, ObjectOutputStream.class)
                .orShould(implementDirectly(Serializable.class))
                .check(MAIN);
    }

    private static String in(String name) {
        return "io.millrace." + name + "..";
    }

    /** The classes of these names and the classes nested in them. */
    private static DescribedPredicate<JavaClass> isOneOf(Set<String> names) {
        return describe(
                "one of " + names,
                type -> Stream.iterate(
                                type.getBaseComponentType(),
                                each -> each != null,
                                each -> each.getEnclosingClass().orElse(null))
                        .anyMatch(each -> names.contains(each.getName())));
    }

    /** Calls and method references, so that {@code flux::subscribe} is seen as well. */
    private static ArchCondition<JavaClass> notCallOn(Class<?> owner, Set<String> methods) {
        return new ArchCondition<>("not call " + owner.getSimpleName() + "." + methods) {
            @Override
            public void check(JavaClass type, ConditionEvents events) {
                Stream<JavaCodeUnitAccess<?>> uses = Stream.concat(
                        type.getMethodCallsFromSelf().stream(), type.getMethodReferencesFromSelf().stream());
                uses.filter(use -> use.getTargetOwner().isAssignableTo(owner) && methods.contains(use.getName()))
                        .forEach(use -> events.add(SimpleConditionEvent.violated(use, use.getDescription())));
            }
        };
    }

    private static ArchCondition<JavaClass> implementDirectly(Class<?> type) {
        return new ArchCondition<>("implement " + type.getSimpleName() + " directly") {
            @Override
            public void check(JavaClass subject, ConditionEvents events) {
                boolean direct = subject.getRawInterfaces().stream().anyMatch(each -> each.isEquivalentTo(type));
                events.add(new SimpleConditionEvent(subject, direct, subject.getDescription()));
            }
        };
    }
}
