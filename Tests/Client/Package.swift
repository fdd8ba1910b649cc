// swift-tools-version: 6.2
import PackageDescription

// A package as any other: it depends on FastThenFine by version, from a git URL that run.sh makes.
let package = Package(
  name: "client",
  dependencies: [.package(url: Context.environment["FASTTHENFINE_URL"] ?? "FastThenFine", from: "0.2.0")],
  targets: ["Demo", "Files", "Index", "Kernels", "Service", "Weights"].map { .target(name: $0, path: "Sources/Own/\($0)") } + [
    // Targets of its own of whatever name, and no import but that of the library.
    .executableTarget(
      name: "client", dependencies: ["Index", .product(name: "FastThenFine", package: "FastThenFine")],
      swiftSettings: [.enableUpcomingFeature("MemberImportVisibility")])
  ]
)
