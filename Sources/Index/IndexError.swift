/// An index that cannot be used, and why.
package enum IndexError: Error {
  case unreadable(path: String, reason: String)
}
