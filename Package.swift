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
    .library(name: "ftf-c", type: .dynamic, targets: ["Exports"]),
  ],
  traits: [
    .trait(name: "Serve", description: "The service and its page: ftf serve."),
    .trait(name: "TLS", description: "The service, encrypted: ftf serve --tls-certificate.", enabledTraits: ["Serve"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
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
      name: "CSIMD", path: "CSIMD", exclude: ["README.md"],
      cSettings: [.unsafeFlags(["-O2"], .when(configuration: .debug))]),
    // Paths as bytes, mapped memory, output files, lines.
    .target(name: "Files", swiftSettings: settings),
    .target(
      name: "Kernels", dependencies: ["CSIMD"],
      swiftSettings: optimised),
    .target(name: "Tokenization", swiftSettings: settings),
    .target(name: "Weights", dependencies: ["Files", "Kernels", "Tokenization"], swiftSettings: settings),
    // libjpeg-turbo and libpng behind functions that never longjmp into Swift.
    .target(name: "CImage", linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png"), .linkedLibrary("z")]),
    // libgdal, opened at run time and never linked.
    .target(name: "CGDAL"),
    .target(name: "Geography", swiftSettings: settings),
    // Tables of that format, written and read.
    .target(name: "Parquet", dependencies: ["Files"], swiftSettings: settings),
    .target(name: "Imaging", dependencies: ["CImage", "Files", "Kernels"], swiftSettings: settings),
    .target(name: "Scenes", dependencies: ["CGDAL", "CImage", "Files", "Geography", "Imaging", "Kernels", "Parquet"], swiftSettings: settings),
    .target(name: "Encoders", dependencies: ["Kernels", "Weights"], swiftSettings: settings),
    .target(name: "Retrieval", dependencies: ["Kernels", "Weights"], swiftSettings: settings),
    .target(
      name: "Index", dependencies: ["Files", "Geography", "Kernels", .product(name: "GRDB", package: "GRDB.swift")],
      swiftSettings: settings),
    .target(
      name: "FastThenFine",
      dependencies: [
        "Encoders", "Files", "Geography", "Imaging", "Index", "Kernels", "Retrieval", "Scenes", "Tokenization", "Weights",
      ],
      swiftSettings: settings),
    // What other programs read.
    .target(
      name: "Interchange",
      dependencies: ["FastThenFine", "Files", "Geography", "Parquet", .product(name: "GRDB", package: "GRDB.swift")],
      swiftSettings: settings),
    // The engine behind HTTP, and the page.
    .target(
      name: "Service",
      dependencies: [
        "FastThenFine", "Files", "Geography", "Imaging", "Index", "Interchange", "Kernels", served("Hummingbird", "hummingbird"),
        served("HummingbirdCore", "hummingbird"),
        served("HummingbirdTLS", "hummingbird", "TLS"), served("NIOSSL", "swift-nio-ssl", "TLS"),
        served("HTTPTypes", "swift-http-types"), served("Logging", "swift-log"), served("CoreMetrics", "swift-metrics"),
        served("NIOCore", "swift-nio"), served("NIOHTTP1", "swift-nio"), served("ServiceLifecycle", "swift-service-lifecycle"),
      ], resources: [.embedInCode("Page")], swiftSettings: settings),
    // ftf.h, and the functions of it.
    .target(name: "CFastThenFine"),
    .target(
      name: "Exports", dependencies: ["CFastThenFine", "FastThenFine", "Files", "Imaging"], swiftSettings: settings,
      linkerSettings: [
        .unsafeFlags(
          ["-static-stdlib", "-Xlinker", "--version-script=\(Context.packageDirectory)/Packaging/libftf.map", "-Xlinker", "-soname=libftf.so.1"],
          .when(configuration: .release))
      ]),
    .target(name: "Demo", dependencies: ["Imaging", "Kernels", "Scenes"], swiftSettings: optimised),
    .target(
      name: "Profiling", dependencies: ["FastThenFine"], path: "Profiling",
      exclude: ["first-minutes.sh", "load.py", "peer.py", "peer_service.py", "rerank.py"],
      swiftSettings: settings),
    .executableTarget(
      name: "ftf",
      dependencies: [
        "CImage", "Demo", "FastThenFine", "Files", "Geography", "Interchange", "Parquet", "Profiling", "Service",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),

    .target(
      name: "TestSupport", dependencies: ["Kernels", "Weights"], path: "Tests/TestSupport", swiftSettings: settings),
    .testTarget(name: "KernelsTests", dependencies: ["CSIMD", "Kernels", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "WeightsTests", dependencies: ["Weights", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "ImagingTests", dependencies: ["Imaging", "Weights", "TestSupport"], swiftSettings: settings),
    .testTarget(
      name: "EncodersTests", dependencies: ["FastThenFine", "Files", "Index", "Tokenization", "Weights", "TestSupport"],
      swiftSettings: settings),
    .testTarget(name: "GeographyTests", dependencies: ["Geography"], swiftSettings: settings),
    .testTarget(name: "ParquetTests", dependencies: ["Files", "Parquet", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "ScenesTests", dependencies: ["Files", "Scenes", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "RetrievalTests", dependencies: ["Retrieval", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "IndexTests", dependencies: ["Files", "Geography", "Index", "TestSupport"], swiftSettings: settings),
    .testTarget(
      name: "FastThenFineTests", dependencies: ["FastThenFine", "Files", "Geography", "Index", "Scenes", "Weights", "TestSupport"],
      swiftSettings: settings),
    .testTarget(name: "DemoTests", dependencies: ["Demo", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "CommandTests", dependencies: ["ftf", "Imaging", "Scenes", "Weights", "TestSupport"], swiftSettings: settings),
    // libFuzzer's target, or a program that replays files: make fuzz.
    .executableTarget(
      name: "Fuzz", dependencies: ["Files", "Geography", "Imaging", "Index", "Kernels", "Parquet", "Service", "Weights"], path: "Tests/Fuzz",
      exclude: ["corpus", "seeds.py", "tokens.dict"],
      swiftSettings: settings),
    // Needs a full model and a data set: make check.
    .testTarget(
      name: "CheckTests", dependencies: ["FastThenFine", "Tokenization", "TestSupport"], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
