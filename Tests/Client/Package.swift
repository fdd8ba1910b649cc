// swift-tools-version: 6.2
import PackageDescription

// A package as any other: it depends on FastThenFine by version, from a git URL that run.sh makes.
let package = Package(
  name: "client",
  dependencies: [.package(url: Context.environment["FASTTHENFINE_URL"] ?? "FastThenFine", from: "0.2.0")],
  targets: [
    .executableTarget(name: "client", dependencies: [.product(name: "FastThenFine", package: "FastThenFine")])
  ]
)
