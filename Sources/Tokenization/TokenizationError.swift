/// A tokenizer file that cannot be used, and why.
package enum TokenizationError: Error {
  case unreadable(path: String, reason: String)
}
