// swift-tools-version: 6.2
import PackageDescription

// A build pays for what it asks for. Without a trait: the library, and the command but for `ftf serve`; two packages are fetched.
// `--traits Serve` adds the service, `--traits TLS` the service and what encrypts it; FTF_DOCS=1 the plugin that makes the documentation.

/// Every Swift target: Swift 6 mode, strict memory safety, lifetimes so that owners can hand out spans, and no warnings.
let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
]

/// The plugin alone would be fetched by everybody.
let documentation: [Package.Dependency] =
  Context.environment["FTF_DOCS"] == nil
  ? [] : [.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0")]

/// What the service is made of.
func served(_ product: String, _ package: String, _ trait: String = "Serve") -> Target.Dependency {
  .product(name: product, package: package, condition: .when(traits: [trait]))
}

/// Where every pixel or product is touched, debug builds are optimised too: their tests would take minutes.
let optimised = settings + [.unsafeFlags(["-O"], .when(configuration: .debug))]

let package = Package(
  name: "FastThenFine",
  products: [
    // The command is none: it is built here, and who depends on the library fetches nothing for it.
    .library(name: "FastThenFine", targets: ["FastThenFine"]),
    // The same for C and what stands on it: libftf.so.
    .library(name: "ftf-c", type: .dynamic, targets: ["FTFExports"]),
  ],
  traits: [
    .trait(name: "Serve", description: "The service and its page: ftf serve."),
    .trait(name: "TLS", description: "The service, encrypted: ftf serve --tls-certificate.", enabledTraits: ["Serve"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ] + documentation,
  targets: [
    // C intrinsics kernels and the parallel loop; debug builds are optimised too.
    .target(
      name: "CFTFSIMD", path: "CSIMD", exclude: ["README.md"],
      cSettings: [.unsafeFlags(["-O2"], .when(configuration: .debug))]),
    // Paths as bytes, mapped memory, output files, lines.
    .target(name: "FTFFiles", path: "Sources/Files", swiftSettings: settings),
    .target(name: "FTFJSON", path: "Sources/JSON", swiftSettings: settings),
    .target(
      name: "FTFKernels", dependencies: ["CFTFSIMD"], path: "Sources/Kernels",
      swiftSettings: optimised),
    .target(name: "FTFTokenization", path: "Sources/Tokenization", swiftSettings: settings),
    .target(name: "FTFWeights", dependencies: ["FTFFiles", "FTFKernels", "FTFTokenization"], path: "Sources/Weights", swiftSettings: settings),
    // libjpeg-turbo and libpng behind functions that never longjmp into Swift.
    .target(name: "CFTFImage", path: "Sources/CImage", linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png"), .linkedLibrary("z")]),
    // libgdal, opened at run time and never linked.
    .target(name: "CFTFGDAL", path: "Sources/CGDAL"),
    .target(name: "FTFGeography", path: "Sources/Geography", swiftSettings: settings),
    // Tables of that format, written and read.
    .target(name: "FTFParquet", dependencies: ["FTFFiles"], path: "Sources/Parquet", swiftSettings: settings),
    .target(name: "FTFImaging", dependencies: ["CFTFImage", "FTFFiles", "FTFKernels"], path: "Sources/Imaging", swiftSettings: settings),
    .target(
      name: "FTFScenes", dependencies: ["CFTFGDAL", "CFTFImage", "FTFFiles", "FTFGeography", "FTFImaging", "FTFJSON", "FTFKernels", "FTFParquet"],
      path: "Sources/Scenes", swiftSettings: settings),
    .target(name: "FTFEncoders", dependencies: ["FTFKernels", "FTFWeights"], path: "Sources/Encoders", swiftSettings: settings),
    .target(name: "FTFRetrieval", dependencies: ["FTFKernels", "FTFWeights"], path: "Sources/Retrieval", swiftSettings: settings),
    .target(
      name: "FTFIndex",
      dependencies: [
        "FTFFiles", "FTFGeography", "FTFJSON", "FTFKernels", .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRDBSQLite", package: "GRDB.swift"),
      ],
      path: "Sources/Index",
      swiftSettings: settings),
    .target(
      name: "FastThenFine",
      dependencies: [
        "FTFEncoders", "FTFFiles", "FTFGeography", "FTFImaging", "FTFIndex", "FTFJSON", "FTFKernels", "FTFRetrieval", "FTFScenes",
        "FTFTokenization", "FTFWeights",
      ],
      swiftSettings: settings),
    // What other programs read.
    .target(
      name: "FTFInterchange",
      dependencies: [
        "FastThenFine", "FTFFiles", "FTFGeography", "FTFJSON", "FTFKernels", "FTFParquet", .product(name: "GRDB", package: "GRDB.swift"),
      ],
      path: "Sources/Interchange",
      swiftSettings: settings),
    // The files of the page, in C, which takes them as they are.
    .target(name: "CFTFPage", path: "Sources/CPage", exclude: ["coast.js", "map.js", "page.css", "page.html", "page.js", "view.js"]),
    // The engine behind HTTP, and the page.
    .target(
      name: "FTFService",
      dependencies: [
        "CFTFPage", "FastThenFine", "FTFFiles", "FTFGeography", "FTFImaging", "FTFIndex", "FTFInterchange", "FTFJSON", "FTFKernels",
        served("Hummingbird", "hummingbird"),
        served("HummingbirdCore", "hummingbird"),
        served("HummingbirdTLS", "hummingbird", "TLS"), served("NIOSSL", "swift-nio-ssl", "TLS"),
        served("HTTPTypes", "swift-http-types"), served("Logging", "swift-log"), served("CoreMetrics", "swift-metrics"),
        served("NIOCore", "swift-nio"), served("NIOHTTP1", "swift-nio"), served("ServiceLifecycle", "swift-service-lifecycle"),
      ], path: "Sources/Service", swiftSettings: settings),
    // ftf.h, and the functions of it.
    .target(name: "CFastThenFine"),
    .target(
      name: "FTFExports", dependencies: ["CFastThenFine", "FastThenFine", "FTFFiles", "FTFImaging"], path: "Sources/Exports", swiftSettings: settings,
      linkerSettings: [
        .unsafeFlags(
          ["-static-stdlib", "-Xlinker", "--version-script=\(Context.packageDirectory)/Packaging/libftf.map", "-Xlinker", "-soname=libftf.so.1"],
          .when(configuration: .release))
      ]),
    .target(name: "FTFDemo", dependencies: ["FTFImaging", "FTFKernels", "FTFScenes"], path: "Sources/Demo", swiftSettings: optimised),
    .target(
      name: "FTFProfiling", dependencies: ["FastThenFine"], path: "Profiling",
      exclude: [
        "archive.py", "arm.py", "bench.json", "bench.py", "first-minutes.sh", "languages", "load.py", "peer.py", "peer_service.py", "rerank.py",
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "ftf",
      dependencies: [
        "CFTFImage", "FTFDemo", "FastThenFine", "FTFFiles", "FTFGeography", "FTFInterchange", "FTFJSON", "FTFKernels", "FTFParquet", "FTFProfiling",
        "FTFService", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings,
      // Nobody looks a name up in the command: the names of all of Swift's library would be read at every start.
      linkerSettings: [.unsafeFlags(["-Xlinker", "--no-export-dynamic"], .when(platforms: [.linux]))]),

    .target(
      name: "FTFTestSupport", dependencies: ["FTFKernels", "FTFWeights"], path: "Tests/TestSupport", swiftSettings: settings),
    .testTarget(name: "KernelsTests", dependencies: ["CFTFSIMD", "FTFKernels", "FTFTestSupport"], swiftSettings: settings),
    .testTarget(name: "WeightsTests", dependencies: ["FTFWeights", "FTFTestSupport"], swiftSettings: settings),
    .testTarget(name: "ImagingTests", dependencies: ["FTFImaging", "FTFWeights", "FTFTestSupport"], swiftSettings: settings),
    .testTarget(
      name: "EncodersTests", dependencies: ["FastThenFine", "FTFFiles", "FTFIndex", "FTFTokenization", "FTFWeights", "FTFTestSupport"],
      swiftSettings: settings),
    .testTarget(name: "JSONTests", dependencies: ["FTFJSON"], swiftSettings: settings),
    .testTarget(name: "GeographyTests", dependencies: ["FTFGeography"], swiftSettings: settings),
    .testTarget(name: "ParquetTests", dependencies: ["FTFFiles", "FTFParquet", "FTFTestSupport"], swiftSettings: settings),
    .testTarget(name: "ScenesTests", dependencies: ["FTFFiles", "FTFScenes", "FTFTestSupport"], swiftSettings: settings),
    .testTarget(name: "RetrievalTests", dependencies: ["FTFRetrieval", "FTFTestSupport"], swiftSettings: settings),
    .testTarget(name: "IndexTests", dependencies: ["FTFFiles", "FTFGeography", "FTFIndex", "FTFTestSupport"], swiftSettings: settings),
    .testTarget(
      name: "FastThenFineTests", dependencies: ["FastThenFine", "FTFFiles", "FTFGeography", "FTFIndex", "FTFScenes", "FTFWeights", "FTFTestSupport"],
      swiftSettings: settings),
    .testTarget(name: "DemoTests", dependencies: ["FTFDemo", "FTFTestSupport"], swiftSettings: settings),
    .testTarget(
      name: "CommandTests", dependencies: ["ftf", "FTFImaging", "FTFInterchange", "FTFScenes", "FTFWeights", "FTFTestSupport"],
      swiftSettings: settings),
    // libFuzzer's target, or a program that replays files: make fuzz.
    .executableTarget(
      name: "Fuzz", dependencies: ["FTFFiles", "FTFGeography", "FTFImaging", "FTFIndex", "FTFKernels", "FTFParquet", "FTFService", "FTFWeights"],
      path: "Tests/Fuzz",
      exclude: ["corpus", "seeds.py", "tokens.dict"],
      swiftSettings: settings),
    // Needs a full model and a data set: make check.
    .testTarget(
      name: "CheckTests", dependencies: ["FastThenFine", "FTFTokenization", "FTFTestSupport"], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
