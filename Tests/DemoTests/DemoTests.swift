import Demo
import TestSupport
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
  #expect(values.count > 100, "a scene has texture")
}

@Test func theDemoHasItsTwelveKindsAndMore() {
  #expect(SceneKind.allCases.count >= 12)
  #expect(SceneKind.allCases.allSatisfy { $0.sentences.count == 5 })
}
