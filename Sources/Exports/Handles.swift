import CFastThenFine
import FastThenFine
import Foundation
import Synchronization

/// What a handle of C stands for. It belongs to the process that made it: threads do not come along through fork, nor do SQLite's locks.
final class Handle<Value: Sendable>: Sendable {
  private let value: Value
  private let process = getpid()
  /// Texts whose addresses callers have seen.
  let texts: Texts

  init(_ value: Value, texts: [String] = []) { (self.value, self.texts) = (value, Texts(texts)) }

  /// - Throws: `badInput` in a child of the process.
  func get() throws(FastThenFineError) -> Value {
    guard process == getpid() else {
      throw FastThenFineError(.badInput, "it was opened before fork, in process \(process); open it in this one")
    }
    return value
  }

  /// What it is, whatever the process.
  var described: Value { value }

  /// To be given back to `release`.
  var pointer: OpaquePointer { unsafe OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

  static func at(_ pointer: OpaquePointer?) throws(FastThenFineError) -> Handle {
    guard let pointer = unsafe pointer else { throw FastThenFineError(.badInput, "a handle is NULL") }
    return unsafe Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
  }

  static func release(_ pointer: OpaquePointer?) {
    if let pointer = unsafe pointer { unsafe Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(pointer)).release() }
  }
}

/// Texts as C has them, for as long as it lives.
@safe final class Texts: @unchecked Sendable {
  private let texts: [UnsafeMutablePointer<CChar>]

  init(_ texts: [String]) { unsafe self.texts = unsafe texts.map { unsafe strdup($0) } }
  deinit { unsafe texts.forEach { unsafe free($0) } }

  subscript(_ i: Int) -> UnsafePointer<CChar> { unsafe UnsafePointer(texts[i]) }
}

extension ftf_status {
  init(_ code: FastThenFineError.Code) {
    self =
      switch code {
      case .badInput, .needsCalibrationImages, .untunedModel: FTF_BAD_INPUT
      case .unusableModel, .notAModel, .unreadTensors: FTF_UNUSABLE_MODEL
      case .notAnIndex: FTF_NOT_AN_INDEX
      case .unusableIndex, .damagedIndex: FTF_UNUSABLE_INDEX
      case .otherModel: FTF_OTHER_MODEL
      case .locked: FTF_LOCKED
      case .unusableFile, .needsBands, .tooManyWindows: FTF_UNUSABLE_FILE
      case .unknownAttribute: FTF_UNKNOWN_ATTRIBUTE
      case .cancelled: FTF_CANCELLED
      case .deadline: FTF_DEADLINE
      }
  }
}

/// The status of a call: its error is this thread's last.
func status(_ body: () throws -> Void) -> ftf_status {
  do {
    try body()
    return FTF_OK
  } catch {
    let error = FastThenFineError(error)
    unsafe error.description.withCString { unsafe support_set_error($0) }
    return ftf_status(error.code)
  }
}

/// A text that has to be there.
func text(_ pointer: UnsafePointer<CChar>?, _ name: String) throws(FastThenFineError) -> String {
  guard let pointer = unsafe pointer else { throw FastThenFineError(.badInput, "\(name) is NULL") }
  guard let text = unsafe String(validatingCString: pointer) else { throw FastThenFineError(.badInput, "\(name) is no UTF-8") }
  return text
}

/// A path, in whatever bytes, as a spelling that the library takes.
func path(_ pointer: UnsafePointer<CChar>?, _ name: String = "a path") throws(FastThenFineError) -> String {
  guard let pointer = unsafe pointer else { throw FastThenFineError(.badInput, "\(name) is NULL") }
  return unsafe FilePath(bytes: UnsafeBufferPointer(start: pointer, count: strlen(pointer)).lazy.map(UInt8.init(bitPattern:))).spelling
}

/// The elements at an address, of which there are to be so many.
func elements<T>(_ pointer: UnsafePointer<T>?, _ count: Int, _ name: String) throws(FastThenFineError) -> UnsafeBufferPointer<T> {
  guard count >= 0, unsafe count == 0 || pointer != nil else { throw FastThenFineError(.badInput, "\(name) is NULL, of \(count)") }
  return unsafe UnsafeBufferPointer(start: pointer, count: count)
}

/// Where a result is to be written.
func place<T>(_ pointer: UnsafeMutablePointer<T>?) throws(FastThenFineError) -> UnsafeMutablePointer<T> {
  guard let pointer = unsafe pointer else { throw FastThenFineError(.badInput, "the place of the result is NULL") }
  return unsafe pointer
}

/// The folders in which a model lies that nobody names.
let modelFolders = [unsafe String(cString: support_library_folder())].filter { !$0.isEmpty }

private let versionText = Texts([Facts.version])

@c @implementation public func ftf_version() -> UnsafePointer<CChar>? { unsafe versionText[0] }
