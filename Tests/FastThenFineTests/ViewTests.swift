import Foundation
import FTFImaging
import FTFTestSupport
import Testing

@testable import FastThenFine

/// Symmetries of a picture that are encoded and averaged.
@Suite struct ViewsOfPictures {
  let folder: TemporaryFolder
  let engine: Engine
  let picture: RGBImage

  init() throws {
    folder = try TemporaryFolder()
    engine = try tinyEngine(in: folder)
    picture = engine.prepared(try RGBImage(path: "\(Goldens.folder)/images/rgb.jpg"))
  }

  private func cosine(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  @Test func oneViewIsThePictureAsItIs() {
    let kernels = engine.kernels.singleThreaded
    #expect(engine.encode(prepared: picture, .one, with: kernels) == engine.images.encode(picture.pixels, with: kernels))
  }

  /// The mean over a group of symmetries does not change under them, and the patches turn with the picture.
  @Test(arguments: [Views.two, .four, .eight]) func whatIsTurnedIsTheSame(views: Views) throws {
    let kernels = engine.kernels.singleThreaded
    let (d, side) = (engine.dimension, engine.patchGrid)
    let own = engine.encode(prepared: picture, views, with: kernels)
    #expect(abs(cosine(own.global, own.global) - 1) < 1e-5)
    let single = engine.encode(prepared: picture, .one, with: kernels)
    for orientation in views.orientations {
      let turned = engine.encode(prepared: picture.oriented(orientation), views, with: kernels)
      #expect(cosine(own.global, turned.global) > 1 - 1e-5)
      let turn = Turn(orientation, width: side, height: side)
      for place in 0..<side * side {
        let stored = turn.stored((x: place % side, y: place / side, width: 1, height: 1))
        let (from, to) = (place * d, (stored.y * side + stored.x) * d)
        #expect(cosine(turned.patches[from..<from + d], own.patches[to..<to + d]) > 1 - 1e-5)
      }
    }
    // One view alone is another thing.
    #expect(cosine(single.global, own.global) < 1 - 1e-4)
    #expect(Set(views.orientations).count == views.rawValue)
  }

  @Test func anIndexKeepsToItsViews() throws {
    let (index, path) = ("\(folder.path)/index", "\(Goldens.folder)/images/rgb.jpg")
    do {
      var writer = try IndexWriter(path: index, engine: engine, views: .four)
      _ = try writer.add([path])
    }
    let archive = try ImageIndex(path: index)
    #expect(archive.views == .four)
    // What is asked for is encoded as what is there was: the picture finds itself.
    let found = try Searcher(archive, engine: engine).answer(Query(.image(path)))
    #expect(try #require(found.results.first).score > 0.999)
    #expect(throws: FastThenFineError.self) { _ = try IndexWriter(path: index, engine: engine, views: .eight) }
    var writer = try IndexWriter(path: index, engine: engine)
    #expect(try writer.add(["\(Goldens.folder)/images"]).indexed > 5 && writer.index.views == .four)
    #expect(writer.views == .four)
  }
}
