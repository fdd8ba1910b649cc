import Foundation
import FTFImaging
import FTFIndex
import FTFKernels
import FTFWeights

/// Why something could not be done. The description is one line that names the file and the way out.
public struct FastThenFineError: LocalizedError, Sendable, Equatable, CustomStringConvertible {
  /// What a program may want to act on.
  public enum Code: String, Sendable {
    /// A model or source of weights that cannot be read, or whose bytes are not those that were written.
    case unusableModel
    /// There is no index at the path.
    case notAnIndex
    /// A part of an index is not what was written, or was made by a later version.
    case unusableIndex
    /// The index was built by another model.
    case otherModel
    /// Another process is writing the index.
    case locked
    /// A file cannot be read or written.
    case unusableFile
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
  public let description: String

  package init(_ code: Code, _ description: String) { (self.code, self.description) = (code, description) }

  package init(_ error: any Error) {
    switch error {
    case let error as FastThenFineError: self = error
    case let error as IndexError: self.init(Self.code(of: error), error.description)
    case let error as WeightsError: self.init(.unusableModel, error.description)
    case let error as ImagingError: self.init(.unusableFile, error.description)
    case let error as LevelError: self.init(.badInput, error.description)
    default: self.init(.unusableFile, "\(error)")
    }
  }

  private static func code(of error: IndexError) -> Code {
    switch error {
    case .notAnIndex: .notAnIndex
    case .damaged, .otherFormat, .needsRepair: .unusableIndex
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
