#if Serve
import Foundation
import HTTPTypes
import Hummingbird

/// The page: the files of `Page`, in the binary itself. It loads nothing from elsewhere.
extension SearchService {
  func addPage(to router: Router<ServiceContext>) {
    router.get("/") { request, _ -> Response in
      guard request.headers[.accept]?.contains("text/html") ?? false else { return self.landing(request) }
      return Self.file(PackageResources.page_html, "text/html; charset=utf-8")
    }
    for (name, bytes) in [
      ("page", PackageResources.page_js), ("view", PackageResources.view_js), ("map", PackageResources.map_js), ("coast", PackageResources.coast_js),
    ] {
      router.get("/\(name).js") { _, _ in Self.file(bytes, "text/javascript; charset=utf-8") }
    }
    router.get("/page.css") { _, _ in Self.file(PackageResources.page_css, "text/css; charset=utf-8") }
  }

  private static func file(_ bytes: [UInt8], _ type: String) -> Response {
    Response(status: .ok, headers: [.contentType: type, .cacheControl: "no-cache"], body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}
#endif
