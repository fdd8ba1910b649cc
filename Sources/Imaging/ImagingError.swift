/// An image that cannot be used, and why.
package enum ImagingError: Error {
  case unreadable(path: String, reason: String)
}
