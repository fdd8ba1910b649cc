/// What a pickle of weights holds.
enum Pickled {
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case tuple([Pickled])
  case list(PickledList)
  case dict(PickledDict)
  /// A class or function by name; nothing is ever looked up or called.
  case global(String)
  case storage(PickledStorage)
  case tensor(PickledTensor)

  final class PickledList { var items: [Pickled] = [] }

  /// A dictionary, or the attributes of an object of a TorchScript archive.
  final class PickledDict {
    var items: [(key: Pickled, value: Pickled)] = []
  }
}

/// `numel` elements of a type in an archive's entry `data/<key>`.
struct PickledStorage: Sendable {
  var key: String
  var type: String
  var count: Int
}

struct PickledTensor: Sendable {
  var storage: PickledStorage
  var offset: Int
  var shape: [Int]
  var strides: [Int]
}

/// Reads the pickles of PyTorch archives and nothing else: a stack machine over plain values that runs no code. Opcodes
/// that weights do not need and globals other than those below are refused by name.
struct Unpickler {
  struct Refusal: Error { var reason: String }

  private enum Slot {
    case mark
    case value(Pickled)
  }

  private let bytes: [UInt8]
  private var at = 0
  private var stack: [Slot] = []
  private var memo: [Int: Pickled] = [:]

  static let longest = 256 << 20

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private mutating func byte() throws(Refusal) -> UInt8 {
    guard at < bytes.count else { throw Refusal(reason: "the pickle is truncated") }
    defer { at += 1 }
    return bytes[at]
  }

  private mutating func take(_ count: Int) throws(Refusal) -> ArraySlice<UInt8> {
    guard count >= 0, count <= bytes.count - at else { throw Refusal(reason: "the pickle is truncated") }
    defer { at += count }
    return bytes[at..<at + count]
  }

  private mutating func unsigned(_ size: Int) throws(Refusal) -> Int {
    var value = 0
    for (i, byte) in try take(size).enumerated() { value |= Int(byte) << (8 * i) }
    guard value >= 0 else { throw Refusal(reason: "the pickle has an impossible length") }
    return value
  }

  private mutating func line() throws(Refusal) -> String {
    guard let end = bytes[at...].firstIndex(of: 10) else { throw Refusal(reason: "the pickle is truncated") }
    defer { at = end + 1 }
    return String(decoding: bytes[at..<end], as: UTF8.self)
  }

  private mutating func pop() throws(Refusal) -> Pickled {
    guard case .value(let value)? = stack.popLast() else { throw Refusal(reason: "the pickle takes more than it has") }
    return value
  }

  private mutating func popToMark() throws(Refusal) -> [Pickled] {
    guard let mark = stack.lastIndex(where: { if case .mark = $0 { true } else { false } }) else {
      throw Refusal(reason: "the pickle has no mark")
    }
    var values: [Pickled] = []
    for case .value(let value) in stack[(mark + 1)...] { values.append(value) }
    stack.removeSubrange(mark...)
    return values
  }

  private mutating func push(_ value: Pickled) { stack.append(.value(value)) }

  private func top() throws(Refusal) -> Pickled {
    guard case .value(let value)? = stack.last else { throw Refusal(reason: "the pickle takes more than it has") }
    return value
  }

  mutating func read() throws(Refusal) -> Pickled {
    while true {
      let code = try byte()
      switch code {
      case UInt8(ascii: "."): return try pop()
      case 0x80: _ = try byte()  // PROTO
      case 0x95: _ = try take(8)  // FRAME
      case UInt8(ascii: "("): stack.append(.mark)
      case UInt8(ascii: "0"): _ = try pop()
      case UInt8(ascii: "N"): push(.none)
      case 0x88: push(.bool(true))
      case 0x89: push(.bool(false))
      case UInt8(ascii: "K"): push(.int(Int(try byte())))
      case UInt8(ascii: "M"): push(.int(try unsigned(2)))
      case UInt8(ascii: "J"): push(.int(Int(Int32(truncatingIfNeeded: try unsigned(4)))))
      case 0x8a: try long()
      case UInt8(ascii: "G"):
        let bits = try take(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        push(.double(Double(bitPattern: bits)))
      case UInt8(ascii: "X"): try string(try unsigned(4))
      case 0x8c: try string(Int(try byte()))
      case 0x8d: try string(try unsigned(8))
      case UInt8(ascii: "U"): try string(Int(try byte()))
      case UInt8(ascii: "T"): try string(try unsigned(4))
      case UInt8(ascii: "]"): push(.list(.init()))
      case UInt8(ascii: "}"): push(.dict(.init()))
      case UInt8(ascii: ")"): push(.tuple([]))
      case UInt8(ascii: "t"): push(.tuple(try popToMark()))
      case UInt8(ascii: "l"):
        let list = Pickled.PickledList()
        list.items = try popToMark()
        push(.list(list))
      case 0x85: push(.tuple([try pop()]))
      case 0x86:
        let b = try pop()
        push(.tuple([try pop(), b]))
      case 0x87:
        let (c, b) = (try pop(), try pop())
        push(.tuple([try pop(), b, c]))
      case UInt8(ascii: "q"): memo[Int(try byte())] = try top()
      case UInt8(ascii: "r"): memo[try unsigned(4)] = try top()
      case 0x94: memo[memo.count] = try top()
      case UInt8(ascii: "h"): try recall(Int(try byte()))
      case UInt8(ascii: "j"): try recall(try unsigned(4))
      case UInt8(ascii: "c"): push(.global("\(try line()).\(try line())"))
      case 0x93:
        let (name, module) = (try pop(), try pop())
        guard case .string(let name) = name, case .string(let module) = module else {
          throw Refusal(reason: "the pickle names a global by something that is no string")
        }
        push(.global("\(module).\(name)"))
      case UInt8(ascii: "Q"):
        let id = try pop()
        push(try storage(id))
      case UInt8(ascii: "R"), 0x81: try call()
      case UInt8(ascii: "b"): try build()
      case UInt8(ascii: "a"):
        let value = try pop()
        try append([value])
      case UInt8(ascii: "e"):
        let values = try popToMark()
        try append(values)
      case UInt8(ascii: "s"):
        let value = try pop()
        let key = try pop()
        try set([key, value])
      case UInt8(ascii: "u"):
        let values = try popToMark()
        try set(values)
      default:
        throw Refusal(reason: "the pickle has the opcode 0x\(String(code, radix: 16)), which weights do not need")
      }
    }
  }

  private mutating func long() throws(Refusal) {
    let part = Array(try take(Int(try byte())))
    guard part.count <= 8 else { throw Refusal(reason: "the pickle has a number of \(part.count) bytes") }
    var value = part.last.map { $0 >= 128 ? -1 : 0 } ?? 0
    for byte in part.reversed() { value = value << 8 | Int(byte) }
    push(.int(value))
  }

  private mutating func string(_ count: Int) throws(Refusal) {
    push(.string(String(decoding: try take(count), as: UTF8.self)))
  }

  private mutating func recall(_ index: Int) throws(Refusal) {
    guard let value = memo[index] else { throw Refusal(reason: "the pickle recalls what it never kept") }
    push(value)
  }

  private func append(_ values: [Pickled]) throws(Refusal) {
    guard case .list(let list) = try top() else {
      throw Refusal(reason: "the pickle appends to something that is no list")
    }
    list.items += values
  }

  private func set(_ values: [Pickled]) throws(Refusal) {
    guard case .dict(let dict) = try top(), values.count % 2 == 0 else {
      throw Refusal(reason: "the pickle sets items of something that is no dictionary")
    }
    for i in stride(from: 0, to: values.count, by: 2) { dict.items.append((values[i], values[i + 1])) }
  }

  // MARK: What PyTorch's pickles name

  /// ('storage', type, key, device, count).
  private func storage(_ id: Pickled) throws(Refusal) -> Pickled {
    guard case .tuple(let parts) = id, parts.count == 5, case .string("storage") = parts[0],
      case .global(let type) = parts[1], case .string(let key) = parts[2], case .int(let count) = parts[4], count >= 0
    else { throw Refusal(reason: "the pickle has a storage of an unknown form") }
    return .storage(PickledStorage(key: key, type: type, count: count))
  }

  private mutating func call() throws(Refusal) {
    let (arguments, function) = (try pop(), try pop())
    guard case .tuple(let values) = arguments, case .global(let name) = function else {
      throw Refusal(reason: "the pickle calls something that has no name")
    }
    switch name {
    case "collections.OrderedDict":
      guard values.isEmpty else { throw Refusal(reason: "the pickle fills an OrderedDict in an unknown way") }
      push(.dict(.init()))
    case "torch._utils._rebuild_tensor_v2": push(.tensor(try tensor(values)))
    case "torch._utils._rebuild_parameter":
      guard let value = values.first else { throw Refusal(reason: "the pickle has an empty parameter") }
      push(value)
    case "torch.Size", "torch.jit._pickle.build_intlist", "torch.jit._pickle.build_doublelist",
      "torch.jit._pickle.build_boollist", "torch.jit._pickle.build_tensorlist":
      push(values.first ?? .tuple([]))
    case "torch.device": push(.none)
    default:
      // A module of a TorchScript archive: an object with attributes and no behaviour.
      guard name.hasPrefix("__torch__."), values.isEmpty else {
        throw Refusal(reason: "the pickle wants to run '\(name)'; only tensors are read")
      }
      push(.dict(.init()))
    }
  }

  private mutating func build() throws(Refusal) {
    let state = try pop()
    guard case .dict(let object) = try top() else {
      throw Refusal(reason: "the pickle builds something that is no object")
    }
    // State of an OrderedDict (`_metadata`) or the attributes of a module.
    if case .dict(let attributes) = state { object.items += attributes.items }
  }

  private func tensor(_ values: [Pickled]) throws(Refusal) -> PickledTensor {
    guard values.count >= 4, case .storage(let storage) = values[0], case .int(let offset) = values[1],
      let shape = integers(values[2]), let strides = integers(values[3]), shape.count == strides.count
    else { throw Refusal(reason: "the pickle has a tensor of an unknown form") }
    guard offset >= 0, shape.allSatisfy({ $0 >= 0 }), strides.allSatisfy({ $0 >= 0 }) else {
      throw Refusal(reason: "the pickle has a tensor of negative size")
    }
    return PickledTensor(storage: storage, offset: offset, shape: shape, strides: strides)
  }

  private func integers(_ value: Pickled) -> [Int]? {
    let values: [Pickled]
    switch value {
    case .tuple(let items): values = items
    case .list(let list): values = list.items
    default: return nil
    }
    var result: [Int] = []
    for value in values {
      guard case .int(let number) = value else { return nil }
      result.append(number)
    }
    return result
  }
}
