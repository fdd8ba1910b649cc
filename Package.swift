// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target: Swift 6 mode, strict memory safety, lifetimes so that owners can hand out spans, and no warnings.
let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "FastThenFine",
  products: [
    .library(name: "FastThenFine", targets: ["FastThenFine"]),
    .executable(name: "ftf", targets: ["ftf"]),
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
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
  ],
  targets: [
    // C intrinsics kernels and the OpenMP drivers. The only unsafe flag of the package is -fopenmp.
    .target(
      name: "CSIMD", path: "CSIMD", exclude: ["README.md"],
      cSettings: [.unsafeFlags(["-fopenmp"])], linkerSettings: [.linkedLibrary("omp5")]),
    .target(name: "Kernels", dependencies: ["CSIMD"], swiftSettings: settings),
    .target(name: "Tokenization", swiftSettings: settings),
    .target(name: "Weights", dependencies: ["Kernels", "Tokenization"], swiftSettings: settings),
    // libjpeg-turbo and libpng behind functions that never longjmp into Swift.
    .target(name: "CImage", linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png"), .linkedLibrary("z")]),
    // libgdal, opened at run time and never linked.
    .target(name: "CGDAL"),
    .target(name: "Geography", swiftSettings: settings),
    // Tables of that format, written and read.
    .target(name: "Parquet", dependencies: ["Kernels"], swiftSettings: settings),
    .target(name: "Imaging", dependencies: ["Kernels", "CImage"], swiftSettings: settings),
    .target(name: "Scenes", dependencies: ["CGDAL", "CImage", "Geography", "Imaging", "Kernels", "Parquet"], swiftSettings: settings),
    .target(name: "Encoders", dependencies: ["Kernels", "Weights"], swiftSettings: settings),
    .target(name: "Retrieval", dependencies: ["Kernels", "Weights"], swiftSettings: settings),
    .target(
      name: "Index", dependencies: ["Geography", "Kernels", .product(name: "GRDB", package: "GRDB.swift")],
      swiftSettings: settings),
    .target(
      name: "FastThenFine",
      dependencies: [
        "Kernels", "Weights", "Imaging", "Geography", "Scenes", "Tokenization", "Encoders", "Retrieval", "Index",
      ],
      swiftSettings: settings),
    // What other programs read.
    .target(
      name: "Interchange",
      dependencies: ["FastThenFine", "Geography", "Kernels", "Parquet", .product(name: "GRDB", package: "GRDB.swift")],
      swiftSettings: settings),
    // The engine behind HTTP, and the page.
    .target(
      name: "Service",
      dependencies: [
        "FastThenFine", "Interchange", .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"), .product(name: "HummingbirdTLS", package: "hummingbird"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "HTTPTypes", package: "swift-http-types"), .product(name: "Logging", package: "swift-log"),
        .product(name: "CoreMetrics", package: "swift-metrics"), .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ], exclude: ["page.jpg"], swiftSettings: settings),
    .target(name: "Demo", dependencies: ["FastThenFine", "Scenes"], swiftSettings: settings),
    .target(
      name: "Profiling", dependencies: ["FastThenFine"], path: "Profiling", exclude: ["load.py", "peer.py", "rerank.py"],
      swiftSettings: settings),
    .executableTarget(
      name: "ftf",
      dependencies: [
        "CImage", "FastThenFine", "Demo", "Interchange", "Profiling", "Service", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),

    .target(
      name: "TestSupport", dependencies: ["Kernels", "Weights"], path: "Tests/TestSupport", swiftSettings: settings),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "WeightsTests", dependencies: ["Weights", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "ImagingTests", dependencies: ["Imaging", "Weights", "TestSupport"], swiftSettings: settings),
    .testTarget(
      name: "EncodersTests", dependencies: ["FastThenFine", "Index", "Tokenization", "Weights", "TestSupport"],
      swiftSettings: settings),
    .testTarget(name: "GeographyTests", dependencies: ["Geography"], swiftSettings: settings),
    .testTarget(name: "ParquetTests", dependencies: ["Kernels", "Parquet", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "ScenesTests", dependencies: ["Scenes", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "RetrievalTests", dependencies: ["Retrieval", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "IndexTests", dependencies: ["Geography", "Index", "TestSupport"], swiftSettings: settings),
    .testTarget(
      name: "FastThenFineTests", dependencies: ["FastThenFine", "Geography", "Index", "Scenes", "Weights", "TestSupport"],
      swiftSettings: settings),
    .testTarget(name: "DemoTests", dependencies: ["Demo", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "CommandTests", dependencies: ["ftf", "Scenes", "Weights", "TestSupport"], swiftSettings: settings),
    // libFuzzer's target, or a program that replays files: make fuzz.
    .executableTarget(
      name: "Fuzz", dependencies: ["Weights"], path: "Tests/Fuzz", exclude: ["corpus", "seeds.py", "tokens.dict"],
      swiftSettings: settings),
    // Needs a full model and a data set: make check.
    .testTarget(
      name: "CheckTests", dependencies: ["FastThenFine", "Tokenization", "TestSupport"], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
