import FTFDemo
import FTFTestSupport
import Testing

@Test(arguments: [SceneKind.storageTanks, .river])
func aSceneIsTheSameEveryTimeAndItsBoxesLieInside(kind: SceneKind) {
  let (scene, again) = (kind.scene(3), kind.scene(3))
  #expect(scene.image.width == 224 && scene.image.height == 224)
  #expect(scene.image.pixels.array == again.image.pixels.array && scene.caption == again.caption)
  #expect(!scene.objects.isEmpty && !scene.caption.isEmpty)
  for object in scene.objects {
    let box = object.box
    #expect(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0)
    #expect(box.x + box.width <= 224 && box.y + box.height <= 224)
  }
  let values = Set(scene.image.pixels.array)
  #expect(values.count > 165, "\(values.count): a scene has texture")
}

@Test func smallScenesAreTheSameEveryTimeAndWhatIsAskedForCoversLessThanAQuarter() {
  for kind in SceneKind.allCases {
    var (covered, patches) = (0, 0)
    for number in 0..<3 {
      let scene = kind.scene(number)
      guard let small = scene.small else { break }
      #expect(small.image.pixels.array == scene.small?.image.pixels.array)
      #expect(small.image.width == 224 && small.image.height == 224 && !small.objects.isEmpty)
      for object in small.objects {
        let box = object.box
        #expect(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0 && box.x + box.width <= 224 && box.y + box.height <= 224)
      }
      // By the centres of patches of 32 pixels.
      patches += 49
      covered += (0..<49).count { patch in
        let (x, y) = (patch % 7 * 32 + 16, patch / 7 * 32 + 16)
        return small.objects.contains { ($0.box.x..<$0.box.x + $0.box.width).contains(x) && ($0.box.y..<$0.box.y + $0.box.height).contains(y) }
      }
    }
    #expect(4 * covered < patches || patches == 0, "\(kind): \(covered) of \(patches)")
  }
}

@Test func theDemoHasItsFourteenKinds() {
  #expect(SceneKind.allCases.count == 14)
  #expect(SceneKind.allCases.allSatisfy { Set($0.sentences).count == 5 })
}
