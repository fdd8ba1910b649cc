// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target: Swift 6 mode, strict memory safety, and lifetimes so that owners can hand out spans.
let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "FastThenFine",
  products: [
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
  ],
  targets: [
    // C intrinsics kernels and the OpenMP drivers. The only unsafe flag of the package is -fopenmp.
    .target(
      name: "CSIMD", path: "CSIMD",
      cSettings: [.unsafeFlags(["-fopenmp"])], linkerSettings: [.linkedLibrary("omp5")]),
    .target(name: "CJPEG", linkerSettings: [.linkedLibrary("jpeg")]),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),

    .target(name: "Kernels", dependencies: ["CSIMD"], swiftSettings: settings),
    .target(name: "Weights", dependencies: ["Kernels"], swiftSettings: settings),
    .target(name: "Imaging", dependencies: ["Kernels", "CJPEG", "CPNG"], swiftSettings: settings),
    .target(name: "Tokenization", dependencies: ["Kernels"], swiftSettings: settings),
    .target(
      name: "Index", dependencies: ["Kernels", .product(name: "GRDB", package: "GRDB.swift")], swiftSettings: settings),

    .target(name: "TestSupport", dependencies: ["Kernels"], path: "Tests/TestSupport", swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
