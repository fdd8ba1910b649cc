import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import FTFIndex
import FTFKernels
import FTFParquet
import FTFService
import FTFWeights

/// What is hostile, by name.
let targets: [String: @Sendable (Data) -> Void] = [
  "weights": readWeights, "parquet": readParquet, "segment": readSegment, "catalog": readCatalog, "filter": readFilter, "geometry": readGeometry,
  "multipart": readForm, "picture": readPicture,
]

/// A folder in memory: readers map files.
private let folder: String = {
  let place = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
  let path = "\(place)/ftf-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
  try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  return path
}()

private func file(_ data: Data, _ name: String = "input") -> String {
  let path = "\(folder)/\(name)"
  try? data.write(to: URL(fileURLWithPath: path))
  return path
}

/// Both readers of weights take it for theirs and read every tensor, and configs are checked as if they were one.
@Sendable private func readWeights(_ data: Data) {
  let path = file(data)
  if let config = try? ModelConfig(json: data, path: path) { _ = config.json() }
  for source: (any TensorSource)? in [try? SafeTensors(path: path), try? PyTorchArchive(path: path)] {
    guard let source else { continue }
    for name in source.names { _ = try? source.floats(name, shape: source.shape(name)!) }
  }
}

@Sendable private func readParquet(_ data: Data) {
  guard let reader = try? ParquetReader(FilePath(file(data))) else { return }
  for group in reader.rows.indices {
    for column in reader.columns { _ = try? reader.values(of: column, in: group) }
    for column in reader.vectors { _ = try? reader.vectors(of: column, in: group) }
  }
}

/// With checksums that are right, so that what they cover is looked at too.
@Sendable private func readSegment(_ data: Data) {
  var bytes = [UInt8](data)
  guard bytes.count >= 64 else { return }
  func number(_ at: Int) -> Int { (0..<6).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) } }
  func put(_ value: UInt32, _ at: Int) { for i in 0..<4 { bytes[at + i] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(i))) } }
  func checksum(_ part: ArraySlice<UInt8>) -> UInt32 {
    let part = Array(part)
    return KernelSet.checksum(part.span.memory)
  }
  let items = number(8)
  let (rows, ids) = ((4 * items + 63) & ~63, (8 * items + 63) & ~63)
  if items < 1 << 20, rows + ids <= bytes.count - 64 {
    put(checksum(bytes[(bytes.count - rows)...]), 56)
    put(checksum(bytes[(bytes.count - rows - ids)..<(bytes.count - rows)]), 52)
  }
  put(checksum(bytes[0..<60]), 60)
  guard let segment = try? Segment(path: file(Data(bytes))) else { return }
  _ = (segment.damage(), segment.fingerprint, segment.coarse.count)
  for i in 0..<min(segment.count, 1000) {
    _ = segment.id(i)
    let item = segment.item(i)
    _ = (item.fine.count, item.gram.codes.count)
    for byte in 0..<segment.bytes(ofItem: i).byteCount { _ = unsafe segment.bytes(ofItem: i).unsafeLoad(fromByteOffset: byte, as: UInt8.self) }
  }
}

/// A catalog in which the input overwrites bytes: place and value, three bytes each. It is read, restored and repaired.
@Sendable private func readCatalog(_ data: Data) {
  guard var bytes = whole else { return }
  for i in stride(from: 0, to: min(data.count, 3000) - 2, by: 3) {
    bytes[(Int(data[i]) << 8 | Int(data[i + 1])) % bytes.count] = data[i + 2]
  }
  let index = "\(folder)/index"
  for name in (try? FileManager.default.contentsOfDirectory(atPath: index)) ?? [] where name != "segments" {
    try? FileManager.default.removeItem(atPath: "\(index)/\(name)")
  }
  try? bytes.write(to: URL(fileURLWithPath: "\(index)/catalog.sqlite"))
  if let catalog = try? Catalog(path: index) { readAll(of: catalog) }
  _ = try? Catalog.restore(index)
  if var writer = try? CatalogWriter(path: index) {
    _ = try? writer.repair { _ in }
    readAll(of: writer.catalog)
  }
}

private func readAll(of catalog: Catalog) {
  _ = (try? catalog.entries(.image), try? catalog.entries(.caption), try? catalog.sources(), try? catalog.captions(), try? catalog.hasWindows())
  _ = (try? catalog.attributeSummaries(), try? catalog.extent(), try? catalog.segments(.image), try? catalog.coarseVectors(.image))
  _ = (try? catalog.windows([1, 2, 3]), try? catalog.images(after: 0, limit: 9), try? catalog.emptySources(), try? catalog.problems { _ in })
  if let filter = try? Filter("year >= 2020 or path like '%a%'") { _ = try? catalog.ids(matching: filter) }
  if let box = BoundingBox([-180, -90, 180, 90]) { _ = try? catalog.ids(in: .box(box)) }
}

/// Of the catalog that the input damages; its index is made anew by each process.
private let whole: Data? = {
  let index = "\(folder)/index"
  try? FileManager.default.removeItem(atPath: index)
  let model = ModelIdentity(name: "tiny", path: "/tiny.ftf", fingerprint: "1", dimension: 8)
  guard let kernels = try? KernelSet(), var writer = try? CatalogWriter(path: index, creating: model) else { return nil }
  func vectors(_ isPooled: Bool) -> PackedItem {
    PackedItem(coarse: [1, 0, 0, 0, 0, 0, 0, 0], fine: Array(repeating: 0.5, count: 16), isPooled: isPooled, with: kernels)
  }
  let stamp = FileStamp(size: 1, modified: 2, changed: 3)
  let square = BoundingBox(west: 1, south: 2, east: 3, north: 4).geometry
  try? writer.add(path: "/a.jpg", stamp: stamp, content: 1, entries: [NewEntry(vectors: vectors(true))])
  try? writer.add(
    path: "/b.tif", stamp: stamp, content: 2,
    windows: [NewEntry(window: Window(x: 0, y: 0, width: 5, height: 5), footprint: square, vectors: vectors(true))],
    of: SceneState(json: "{}", properties: #"{"datetime":"2020-01-01"}"#, continues: false, done: nil))
  try? writer.commit()
  try? writer.add(caption: "a sentence", vectors: vectors(false))
  try? writer.commit()
  try? writer.set(attributes: [("/a.jpg", #"{"year":2020,"name":"x"}"#)])
  // Saved it is one file, without what a connection keeps beside.
  writer.save()
  return try? Data(contentsOf: URL(fileURLWithPath: "\(index)/catalog.saved.sqlite"))
}()

@Sendable private func readFilter(_ data: Data) {
  let text = String(decoding: data, as: UTF8.self)
  _ = Instant(text).map { ($0.text, Instant($0.text)) }
  guard let filter = try? Filter(text), let catalog else { return }
  _ = try? catalog.ids(matching: filter)
  _ = try? catalog.unknownAttribute(of: filter)
}

private let catalog: Catalog? = whole.flatMap { _ in try? Catalog(path: "\(folder)/index") }

@Sendable private func readGeometry(_ data: Data) {
  let text = String(decoding: data, as: UTF8.self)
  let square = BoundingBox(west: 170, south: -89, east: -170, north: 90).geometry
  for geometry in [Geometry(geoJSON: text), Geometry(wkt: text)] {
    guard let geometry else { continue }
    _ = (geometry.wkb, geometry.boxes, geometry.boundingBox, geometry.centre, geometry.intersects(square), square.intersects(geometry))
    _ = (geometry.distance(from: Place(lon: 179, lat: 89)), Geometry(geoJSON: geometry.geoJSON))
    for ring in geometry.polygons { _ = Geometry(around: ring) }
  }
}

/// The first line is the Content-Type.
@Sendable private func readForm(_ data: Data) {
  let end = data.firstIndex(of: 10) ?? data.endIndex
  let type = String(decoding: data[..<end], as: UTF8.self)
  for part in Multipart.parts(Data(data[min(end + 1, data.endIndex)...]), type: type) ?? [] { _ = (part.name, part.data.count) }
}

@Sendable private func readPicture(_ data: Data) {
  // The libraries are given no more pixels than a machine that tries thousands a second has time for.
  let size = RGBImage.size(data)
  guard (size?.width ?? 0) < 2048, (size?.height ?? 0) < 2048 else { return }
  for side in [nil, 32] {
    guard let image = try? RGBImage(data: data, path: "input", reducedTo: side) else { continue }
    // Memory is booked by what is said before: what can be decoded has said it.
    precondition(side != nil || size.map { $0.width == image.width && $0.height == image.height } == true)
    _ = image.resized(width: 16, height: 16)
  }
}
