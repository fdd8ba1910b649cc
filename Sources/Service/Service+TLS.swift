#if Serve
import FastThenFine
import Foundation
import HummingbirdCore
#if TLS
import HummingbirdTLS
import NIOSSL
#endif

extension Service {
  /// Whether this build can encrypt.
  #if TLS
  public static let encrypts = true
  #else
  public static let encrypts = false
  #endif

  /// The same server over TLS.
  ///
  /// - Parameters:
  ///   - chain: a file in PEM: the certificate, and those that vouch for it.
  ///   - key: a file in PEM.
  static func encrypted(_ plain: HTTPServerBuilder, chain: String, key: String) throws -> HTTPServerBuilder {
    for file in [chain, key] where !FileManager.default.isReadableFile(atPath: file) {
      throw FastThenFineError(.unusableFile, at: file, "cannot be read")
    }
    #if TLS
    do {
      let certificates = try NIOSSLCertificate.fromPEMFile(chain).map { NIOSSLCertificateSource.certificate($0) }
      let configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: certificates, privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
      return try .tls(plain, tlsConfiguration: configuration)
    } catch {
      throw FastThenFineError(.badInput, "\(chain), \(key): no certificate and key in PEM that belong together")
    }
    #else
    throw FastThenFineError(.badInput, "this build does not encrypt")
    #endif
  }
}
#endif
