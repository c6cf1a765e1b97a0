package io.fluxtally.acceptance;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.GeneralCodingRules;

/** The arrows of the design, decided by the build. */
@AnalyzeClasses(packages = "io.fluxtally", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

    private static final String USAGE = "io.fluxtally.usage..";
    private static final String GRAPH = "io.fluxtally.graph..";
    private static final String LEDGER = "io.fluxtally.ledger..";
    private static final String DASHSCOPE = "io.fluxtally.dashscope..";
    private static final String BEDROCK = "io.fluxtally.bedrock..";
    private static final String ALIBABA = "io.fluxtally.alibaba..";
    private static final String BOOT = "io.fluxtally.boot..";
    private static final String CONFORMANCE = "io.fluxtally.conformance..";
    private static final String CLI = "io.fluxtally.cli..";
    private static final String EXAMPLES = "io.fluxtally.examples..";
    private static final String BENCHMARKS = "io.fluxtally.benchmarks..";

    @ArchTest
    static final ArchRule usageDependsOnNoOtherModule = noClasses()
            .that()
            .resideInAPackage(USAGE)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(GRAPH, LEDGER, DASHSCOPE, BEDROCK, ALIBABA, BOOT, CONFORMANCE, CLI, EXAMPLES);

    @ArchTest
    static final ArchRule graphDependsOnUsageAlone = noClasses()
            .that()
            .resideInAPackage(GRAPH)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(LEDGER, DASHSCOPE, BEDROCK, ALIBABA, BOOT, CONFORMANCE, CLI, EXAMPLES);

    @ArchTest
    static final ArchRule ledgerDependsOnUsageAlone = noClasses()
            .that()
            .resideInAPackage(LEDGER)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(GRAPH, DASHSCOPE, BEDROCK, ALIBABA, BOOT, CONFORMANCE, CLI, EXAMPLES);

    @ArchTest
    static final ArchRule theLedgerKnowsNoSpringAndNoReactor = noClasses()
            .that()
            .resideInAPackage(LEDGER)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("org.springframework..", "reactor..");

    @ArchTest
    static final ArchRule databasesStayAtTheLedgersEdge = noClasses()
            .that()
            .resideInAPackage("io.fluxtally.ledger")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("java.sql..", "javax.sql..");

    @ArchTest
    static final ArchRule theLedgersYamlStaysAtItsEdge = noClasses()
            .that()
            .resideInAPackage(LEDGER)
            .and()
            .resideOutsideOfPackage("io.fluxtally.ledger.cost")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.yaml..");

    @ArchTest
    static final ArchRule theLedgersCsvStaysAtItsEdge = noClasses()
            .that()
            .resideInAPackage(LEDGER)
            .and()
            .resideOutsideOfPackage("io.fluxtally.ledger.reconcile")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.apache.commons.csv..");

    @ArchTest
    static final ArchRule adapterDependsOnUsageAlone = noClasses()
            .that()
            .resideInAPackage(DASHSCOPE)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(GRAPH, LEDGER, BEDROCK, ALIBABA, BOOT, CONFORMANCE, CLI, EXAMPLES);

    @ArchTest
    static final ArchRule bedrockAdapterDependsOnUsageAlone = noClasses()
            .that()
            .resideInAPackage(BEDROCK)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(GRAPH, LEDGER, DASHSCOPE, ALIBABA, BOOT, CONFORMANCE, CLI, EXAMPLES);

    @ArchTest
    static final ArchRule alibabaGraphAdapterDependsOnUsageAndDashScopeAlone = noClasses()
            .that()
            .resideInAPackage(ALIBABA)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(GRAPH, LEDGER, BEDROCK, BOOT, CONFORMANCE, CLI, EXAMPLES);

    @ArchTest
    static final ArchRule theStarterDependsOnNothingThatIsForTests = noClasses()
            .that()
            .resideInAPackage(BOOT)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(CONFORMANCE, CLI, EXAMPLES);

    @ArchTest
    static final ArchRule springBootStaysInTheStarter = noClasses()
            .that()
            .resideOutsideOfPackages(BOOT, EXAMPLES)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("org.springframework.boot..", BOOT);

    @ArchTest
    static final ArchRule reflectionOnAgentsIsInOnePlace = noClasses()
            .that()
            .resideInAPackage(ALIBABA)
            .and()
            .doNotHaveSimpleName("AgentInternals")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("java.lang.reflect..");

    @ArchTest
    static final ArchRule theAwsSdkStaysInItsAdapter = noClasses()
            .that()
            .resideOutsideOfPackage(BEDROCK)
            .should()
            .dependOnClassesThat()
            .resideInAPackage("software.amazon..");

    @ArchTest
    static final ArchRule nothingDependsOnTheCommandsOrTheExamples = noClasses()
            .that()
            .resideOutsideOfPackages(CLI, EXAMPLES)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(CLI, EXAMPLES);

    @ArchTest
    static final ArchRule nothingDependsOnTheBenchmarks = noClasses()
            .that()
            .resideOutsideOfPackage(BENCHMARKS)
            .should()
            .dependOnClassesThat()
            .resideInAPackage(BENCHMARKS);

    @ArchTest
    static final ArchRule httpClientsStayAtTheEdge = noClasses()
            .that()
            .resideInAPackage(USAGE)
            .and()
            .resideOutsideOfPackages("io.fluxtally.usage.wire.webclient", "io.fluxtally.usage.wire.restclient")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("org.springframework.web..", "org.springframework.http..");

    @ArchTest
    static final ArchRule contextPropagationStaysAtTheEdge = noClasses()
            .that()
            .resideInAPackage(USAGE)
            .and()
            .resideOutsideOfPackage("io.fluxtally.usage.scope.propagation")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("io.micrometer.context..");

    @ArchTest
    static final ArchRule metersStayAtTheEdge = noClasses()
            .that()
            .resideOutsideOfPackages("io.fluxtally.usage.metrics", "io.fluxtally.boot.metrics")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("io.micrometer.core..");

    @ArchTest
    static final ArchRule observationsStayAtTheEdge = noClasses()
            .that()
            .resideOutsideOfPackages("io.fluxtally.usage.observation", "io.fluxtally.boot.observation")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("io.micrometer.observation..", "io.micrometer.common..");

    @ArchTest
    static final ArchRule theGraphKnowsNoProviderAndNoHttp = noClasses()
            .that()
            .resideInAPackage(GRAPH)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("org.springframework.web..", "org.springframework.http..", "com.alibaba..");

    @ArchTest
    static final ArchRule theKitsServersStayInTheirPackages = noClasses()
            .that()
            .resideInAPackage(CONFORMANCE)
            .and()
            .resideOutsideOfPackages(
                    "io.fluxtally.conformance.loopback",
                    "io.fluxtally.conformance.proxy",
                    "io.fluxtally.conformance.record",
                    "io.fluxtally.conformance.capture")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("reactor.netty..", "io.netty..");

    @ArchTest
    static final ArchRule theKitsYamlStaysInItsPackage = noClasses()
            .that()
            .resideInAPackage(CONFORMANCE)
            .and()
            .resideOutsideOfPackage("io.fluxtally.conformance.scenario")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.yaml..");

    @ArchTest
    static final ArchRule theKitsClientsStayInTheirPackage = noClasses()
            .that()
            .resideInAPackage(CONFORMANCE)
            .and()
            .resideOutsideOfPackage("io.fluxtally.conformance.engine")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("org.springframework..", "com.alibaba..", GRAPH, DASHSCOPE, ALIBABA);

    @ArchTest
    static final ArchRule valuesKnowNothingButSpringAisUsage = classes()
            .that()
            .resideInAPackage("io.fluxtally.usage")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage(
                    "java..", "org.jspecify..", "io.fluxtally.usage", "org.springframework.ai.chat.metadata");

    @ArchTest
    static final ArchRule noCycles =
            slices().matching("io.fluxtally.(**)").should().beFreeOfCycles();

    @ArchTest
    static final ArchRule nothingBlocks = noClasses()
            .should()
            .accessTargetWhere(DescribedPredicate.describe(
                    "a publisher is blocked on",
                    (JavaAccess<?> access) -> access.getName().startsWith("block")
                            && access.getTargetOwner().getPackageName().startsWith("reactor.core")));

    @ArchTest
    static final ArchRule nothingWritesToTheStandardStreams =
            GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;

    @ArchTest
    static final ArchRule nothingUsesOldNullAnnotations = noClasses()
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("javax.annotation..", "org.springframework.lang..");
}
