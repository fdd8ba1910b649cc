import FTFEncoders
import FTFImaging
import FTFIndex
import FTFKernels

/// How many of the eight symmetries of a picture are encoded, and their vectors averaged: the ground has no north, but encoders know one.
///
/// Encoding takes as many times as long; searching takes what it took. An index remembers which it holds.
public enum Views: Int, Sendable, CaseIterable {
  /// As it is.
  case one = 1
  /// And upside down.
  case two = 2
  /// The four quarter turns.
  case four = 4
  /// And their mirror images.
  case eight = 8

  /// As EXIF numbers them.
  var orientations: [Int] {
    switch self {
    case .one: [1]
    case .two: [1, 3]
    case .four: [1, 3, 6, 8]
    case .eight: [1, 3, 6, 8, 2, 4, 5, 7]
    }
  }
}

extension Engine {
  /// Prepared pictures, in order.
  func encode(prepared pictures: [RGBImage], _ views: Views, with kernels: KernelSet) -> [EncodedImage] {
    guard views == .one else { return pictures.map { encode(prepared: $0, views, with: kernels) } }
    return images.encode(pictures.map(\.pixels), with: kernels)
  }

  /// What is made of each of `count` places, in order: as many pictures in a pass as suit the encoder, and a pass a thread. What fails
  /// costs no other its result.
  ///
  /// - Parameters:
  ///   - kernels: of all threads.
  ///   - progress: is told how many are done, from any thread.
  ///   - pictures: the prepared ones of a place, and what else is to be known of it.
  ///   - made: of what is known and the vectors of its pictures.
  func encodeEach<Known, Made: Sendable, Failure: Error>(
    _ count: Int, _ views: Views, with kernels: KernelSet, progress: @Sendable (Int) -> Void = { _ in },
    _ pictures: @Sendable (Int) throws(Failure) -> (pictures: [RGBImage], known: Known),
    made: @Sendable (Known, [EncodedImage]) -> Made
  ) -> [Result<Made, Failure>] {
    // No thread is to be without work for the sake of fuller passes.
    let size = max(1, min(images.together, (count + kernels.threads - 1) / kernels.threads))
    let single = kernels.singleThreaded
    typealias Place = (pictures: [RGBImage], known: Known)
    @Sendable func encoded(_ places: [Result<Place, Failure>]) -> [Result<Made, Failure>] {
      var vectors = encode(prepared: places.flatMap { (try? $0.get().pictures) ?? [] }, views, with: single)[...]
      return places.map { place in
        place.map { place in
          defer { vectors = vectors.dropFirst(place.pictures.count) }
          return made(place.known, Array(vectors.prefix(place.pictures.count)))
        }
      }
    }
    let groups = kernels.parallelMap((count + size - 1) / size) { group in
      let range = group * size..<min((group + 1) * size, count)
      defer { progress(range.count) }
      var (results, waiting, pending): ([Result<Made, Failure>], [Result<Place, Failure>], Int) = ([], [], 0)
      for i in range {
        let place = Result { () throws(Failure) in try pictures(i) }
        pending += (try? place.get().pictures.count) ?? 0
        waiting.append(place)
        // A place of many pictures waits for no other: they are in memory.
        guard pending >= images.together || i == range.last else { continue }
        results += encoded(waiting)
        (waiting, pending) = ([], 0)
      }
      return results
    }
    return Array(groups.joined())
  }

  /// A prepared picture: g is the mean over the views, P that of each place of the ground; all of unit norm.
  package func encode(prepared picture: RGBImage, _ views: Views, with kernels: KernelSet) -> EncodedImage {
    guard views != .one else { return images.encode(picture.pixels, with: kernels) }
    let (d, side) = (dimension, patchGrid)
    var sum = EncodedImage(global: Array(repeating: 0, count: d), patches: Array(repeating: 0, count: side * side * d))
    let turned = images.encode(views.orientations.map { picture.oriented($0).pixels }, with: kernels)
    for (orientation, seen) in zip(views.orientations, turned) {
      let turn = Turn(orientation, width: side, height: side)
      for i in 0..<d { sum.global[i] += seen.global[i] }
      for place in 0..<side * side {
        // Back to where it lies in the picture as it is.
        let stored = turn.stored((x: place % side, y: place / side, width: 1, height: 1))
        let (from, to) = (place * d, (stored.y * side + stored.x) * d)
        for i in 0..<d { sum.patches[to + i] += seen.patches[from + i] }
      }
    }
    Self.normalise(&sum.global, rows: 1)
    Self.normalise(&sum.patches, rows: side * side)
    return sum
  }

  static func normalise(_ values: inout [Float], rows: Int) {
    let d = values.count / rows
    for row in 0..<rows {
      let range = row * d..<(row + 1) * d
      let length = max(values[range].reduce(0) { $0 + $1 * $1 }.squareRoot(), .leastNormalMagnitude)
      for i in range { values[i] /= length }
    }
  }
}

extension Catalog {
  /// - Throws: `damaged` where it says a number that there is not.
  var views: Views {
    get throws(IndexError) {
      guard let views = Views(rawValue: model.views) else {
        throw .damaged(path: path, reason: "it says that its pictures have \(model.views) views")
      }
      return views
    }
  }
}
