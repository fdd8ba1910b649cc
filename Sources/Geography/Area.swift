/// Where somebody looks: a box, or all that is near a place.
package enum Area: Sendable, Hashable {
  case box(BoundingBox)
  /// Within so many metres.
  case near(Place, metres: Double)

  /// Boxes that hold all of it.
  package var boxes: [BoundingBox] {
    switch self {
    case .box(let box): box.parts
    case .near(let place, let metres): BoundingBox(around: place, metres: metres).parts
    }
  }

  /// Whether all of a box that is not over the antimeridian lies in the area; near a place none is said to.
  package func holds(_ box: BoundingBox) -> Bool {
    guard case .box(let whole) = self else { return false }
    return whole.parts.contains { $0.west <= box.west && box.east <= $0.east && $0.south <= box.south && box.north <= $0.north }
  }

  package func meets(_ footprint: Geometry) -> Bool {
    switch self {
    case .box(let box): footprint.intersects(box.geometry)
    case .near(let place, let metres): footprint.distance(from: place) <= metres
    }
  }
}

extension BoundingBox {
  /// From west, south, east, north in degrees; nil where they are none.
  package init?(_ numbers: [Double]) {
    guard numbers.count == 4, numbers.allSatisfy(\.isFinite), abs(numbers[0]) <= 180, abs(numbers[2]) <= 180,
      (-90...90).contains(numbers[1]), (-90...90).contains(numbers[3]), numbers[1] <= numbers[3]
    else { return nil }
    self.init(west: numbers[0], south: numbers[1], east: numbers[2], north: numbers[3])
  }

  /// What holds both.
  package func with(_ other: BoundingBox) -> BoundingBox {
    BoundingBox(west: min(west, other.west), south: min(south, other.south), east: max(east, other.east), north: max(north, other.north))
  }
}
