import Foundation

extension Error {
  /// What the system said, in its own words (`No space left on device`) where Foundation passes its code on; else what Foundation says.
  package var systemReason: String {
    if let error = self as? POSIXError { return unsafe String(cString: strerror(error.code.rawValue)) }
    let error = self as NSError
    if error.domain == NSPOSIXErrorDomain { return unsafe String(cString: strerror(Int32(error.code))) }
    // As Foundation wraps it in one of its halves, and in the other.
    let cause = error.userInfo[NSUnderlyingErrorKey]
    return (cause as? POSIXError)?.systemReason ?? (cause as? NSError)?.systemReason ?? error.localizedDescription
  }
}
