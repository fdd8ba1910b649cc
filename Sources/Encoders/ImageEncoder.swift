import FTFKernels
import FTFWeights

/// An image tower: u8 pixels to (g, P).
package final class ImageEncoder: Sendable {
  package let config: ModelConfig
  private let tower: any ImageTower

  /// Side of the image that `encode` takes, in pixels.
  package var side: Int { config.vision.imageSize }
  /// N, the number of patches.
  package var patches: Int { config.vision.grid * config.vision.grid }

  package init(_ model: Model, for kernels: KernelSet) throws {
    config = model.config
    switch config.vision {
    case .efficientNetLite(let vision): tower = try EfficientNetLite(model, vision, for: kernels)
    case .vit(let vision): tower = try VisionTransformer(model, vision, for: kernels)
    }
  }

  /// How many images a pass is best made over.
  package var together: Int { tower.together }

  /// - Parameters:
  ///   - pixels: u8[side, side, 3], RGB.
  ///   - probe: what is told of the pass while it runs.
  package func encode(
    _ pixels: AlignedBuffer<UInt8>, with kernels: KernelSet, probe: ImageProbe? = nil
  ) -> EncodedImage {
    encode([pixels], with: kernels, probe: probe)[0]
  }

  /// Several images, `together` in a pass: the same vectors as one by one, sooner where weights are read for all at once.
  package func encode(_ images: [AlignedBuffer<UInt8>], with kernels: KernelSet, probe: ImageProbe? = nil) -> [EncodedImage] {
    precondition(images.allSatisfy { $0.count == side * side * 3 }, "encode: an image has another size")
    return stride(from: 0, to: images.count, by: together).flatMap { start in
      tower.encode(Array(images[start..<min(start + together, images.count)]), with: kernels, probe: probe)
    }
  }
}

protocol ImageTower: Sendable {
  var together: Int { get }

  /// At most `together` images.
  func encode(_ images: [AlignedBuffer<UInt8>], with kernels: KernelSet, probe: ImageProbe?) -> [EncodedImage]
}

/// What is told of a forward pass while it runs.
package struct ImageProbe {
  /// The name and values of every block's output; convolutional models only.
  package var output: ((String, [Float]) -> Void)?
  /// The name and multiply-adds of every layer that has just been computed.
  package var layer: ((String, Int) -> Void)?

  /// The inputs of every layer; convolutional models in fp32 only, a depthwise convolution's with its border. Of transformers
  /// `visitLayers` tells.
  package var input: LayerProbe?

  package init(
    output: ((String, [Float]) -> Void)? = nil, layer: ((String, Int) -> Void)? = nil, input: LayerProbe? = nil
  ) {
    (self.output, self.layer, self.input) = (output, layer, input)
  }
}
