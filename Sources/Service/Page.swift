#if Serve
import CFTFPage
import Foundation
import HTTPTypes
import Hummingbird

/// The page: its files are in the binary itself. It loads nothing from elsewhere.
extension SearchService {
  func addPage(to router: Router<ServiceContext>) {
    router.get("/") { request, _ -> Response in
      guard request.headers[.accept]?.contains("text/html") ?? false else { return self.landing(request) }
      return Self.file("page.html", "text/html; charset=utf-8")
    }
    for name in ["page.js", "view.js", "map.js", "coast.js"] {
      router.get("/\(name)") { _, _ in Self.file(name, "text/javascript; charset=utf-8") }
    }
    router.get("/page.css") { _, _ in Self.file("page.css", "text/css; charset=utf-8") }
  }

  private static func file(_ name: String, _ type: String) -> Response {
    let file = unsafe cpage(name)
    let bytes = unsafe ByteBuffer(bytes: UnsafeBufferPointer(start: file.bytes, count: file.count))
    return Response(status: .ok, headers: [.contentType: type, .cacheControl: "no-cache"], body: .init(byteBuffer: bytes))
  }
}
#endif
