import Foundation
import FTFImaging
import FTFIndex
import FTFKernels
import FTFWeights

/// Why something could not be done: what kind it is of, of which file, and what was expected and found where that can be said. The description is one
/// line that names the file and the way out, in words and not in some program's options.
public struct FastThenFineError: LocalizedError, Sendable, Equatable, CustomStringConvertible {
  /// What a program may want to act on.
  public enum Code: String, Sendable {
    /// A model or source of weights that cannot be read, or whose bytes are not those that were written.
    case unusableModel
    /// A file is no model; weights of others are converted first.
    case notAModel
    /// Weights hold tensors that nothing here computes.
    case unreadTensors
    /// What is asked needs a model that was tuned on captions.
    case untunedModel
    /// There is no index at the path.
    case notAnIndex
    /// A part of an index is not what was written: it can be repaired.
    case damagedIndex
    /// An index that another version made, which this one does not read.
    case unusableIndex
    /// The index was built by another model.
    case otherModel
    /// Another process is writing the index.
    case locked
    /// A file cannot be read or written.
    case unusableFile
    /// Nothing says which bands of a scene are red, green and blue.
    case needsBands
    /// A scene would be cut into more windows than an index takes of one.
    case tooManyWindows
    /// int8 of this model takes the ranges of its activations from images, and none were given.
    case needsCalibrationImages
    /// A filter names an attribute that nothing in the index has.
    case unknownAttribute
    /// A filter, level, option or other input that says nothing.
    case badInput
    /// The caller gave up, or its deadline passed.
    case cancelled
    case deadline
  }

  public let code: Code
  /// The file, folder or index that it is about.
  public let path: String?
  /// Why, and the way out, without the path.
  public let reason: String
  /// What there should have been, and what there was.
  public let expected: String?
  public let found: String?

  public init(_ code: Code, at path: String? = nil, _ reason: String, expected: String? = nil, found: String? = nil) {
    (self.code, self.path, self.reason, self.expected, self.found) = (code, path, reason, expected, found)
  }

  package init(_ error: any Error) {
    switch error {
    case let error as FastThenFineError: self = error
    case let error as IndexError:
      self.init(Self.code(of: error), at: error.path, error.reason, expected: error.comparison?.expected, found: error.comparison?.found)
    case let error as WeightsError:
      self.init(Self.code(of: error), at: error.path, error.reason, expected: error.comparison?.expected, found: error.comparison?.found)
    case let error as ImagingError: self.init(Self.code(of: error), at: error.path, error.reason)
    case let error as LevelError: self.init(.badInput, error.description)
    default: self.init(.unusableFile, "\(error)")
    }
  }

  public var description: String { path.map { "\($0): \(reason)" } ?? reason }

  private static func code(of error: WeightsError) -> Code {
    switch error {
    case .notAModel: .notAModel
    case .unread: .unreadTensors
    default: .unusableModel
    }
  }

  private static func code(of error: ImagingError) -> Code {
    switch error {
    case .unreadable, .passing, .unwritable: .unusableFile
    case .unknownBands: .needsBands
    case .tooManyWindows: .tooManyWindows
    }
  }

  private static func code(of error: IndexError) -> Code {
    switch error {
    case .notAnIndex: .notAnIndex
    case .damaged, .needsRepair: .damagedIndex
    case .otherFormat, .otherKind: .unusableIndex
    case .otherModel: .otherModel
    case .locked: .locked
    case .unreadable, .unwritable: .unusableFile
    case .unknownAttribute: .unknownAttribute
    case .badFilter: .badInput
    }
  }

  public var errorDescription: String? { description }

  /// What `body` returns, or its error as the one that callers know.
  static func wrapping<R: ~Copyable>(_ body: () throws -> R) throws(FastThenFineError) -> R {
    do { return try body() } catch { throw FastThenFineError(error) }
  }
}
