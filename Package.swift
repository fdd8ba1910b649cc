// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target: Swift 6 mode, strict memory safety, and lifetimes so that owners can hand out spans.
let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "FastThenFine",
  targets: [
    // C intrinsics kernels and the OpenMP drivers. The only unsafe flag of the package is -fopenmp.
    .target(
      name: "CSIMD", path: "CSIMD",
      cSettings: [.unsafeFlags(["-fopenmp"])], linkerSettings: [.linkedLibrary("omp5")]),
    .target(name: "Kernels", dependencies: ["CSIMD"], swiftSettings: settings),

    .target(name: "TestSupport", dependencies: ["Kernels"], path: "Tests/TestSupport", swiftSettings: settings),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels", "TestSupport"], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
