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
  /// An object of a class that weights do not need: what it was made of is left out, and nothing of it is run.
  case opaque

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

  /// Bytes of an element; nil for a type that PyTorch did not have when files without a zip archive were written.
  var elementSize: Int? {
    switch type {
    case "torch.DoubleStorage", "torch.LongStorage", "torch.ComplexFloatStorage": 8
    case "torch.FloatStorage", "torch.IntStorage": 4
    case "torch.HalfStorage", "torch.BFloat16Storage", "torch.ShortStorage": 2
    case "torch.CharStorage", "torch.ByteStorage", "torch.BoolStorage": 1
    case "torch.ComplexDoubleStorage": 16
    default: nil
    }
  }
}

struct PickledTensor: Sendable {
  var storage: PickledStorage
  var offset: Int
  var shape: [Int]
  var strides: [Int]
}

/// Reads the pickles of PyTorch archives: a stack machine over plain values that runs no code. A class or function that is not one of
/// those below gives an opaque value, whatever it is called with; opcodes that leave the pickle (extensions, buffers outside of
/// it) are refused.
struct Unpickler {
  struct Refusal: Error { var reason: String }

  private enum Slot {
    case mark
    case value(Pickled)
  }

  private let bytes: [UInt8]
  /// The first byte that was not read yet: a file may hold pickles one after the other.
  private(set) var at = 0
  /// All that were named, by key.
  private(set) var storages: [String: PickledStorage] = [:]
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

  /// The next pickle.
  mutating func read() throws(Refusal) -> Pickled {
    (stack, memo) = ([], [:])
    while true {
      let code = try byte()
      switch code {
      case UInt8(ascii: "1"): _ = try popToMark()
      case UInt8(ascii: "2"): push(try top())
      case UInt8(ascii: "I"): try number(line())
      case UInt8(ascii: "L"): try number(String(line().filter { $0 != "L" }))
      case UInt8(ascii: "F"): push(Double(try line()).map(Pickled.double) ?? .opaque)
      case UInt8(ascii: "S"): push(.string(String(try line().dropFirst().dropLast())))
      case UInt8(ascii: "V"): push(.string(try line()))
      case UInt8(ascii: "p"): memo[try index(line())] = try top()
      case UInt8(ascii: "g"): try recall(index(line()))
      case UInt8(ascii: "d"):
        let items = try popToMark()
        push(.dict(.init()))
        try set(items)
      case UInt8(ascii: "B"):
        _ = try take(try unsigned(4))
        push(.opaque)
      case UInt8(ascii: "C"):
        _ = try take(Int(try byte()))
        push(.opaque)
      case 0x8e, 0x96:  // bytes and bytearrays
        _ = try take(try unsigned(8))
        push(.opaque)
      case 0x8b: try long(unsigned(4))
      case 0x8f: push(.opaque)  // an empty set
      case 0x90: _ = try popToMark()  // its items
      case 0x91:  // a frozen set
        _ = try popToMark()
        push(.opaque)
      case UInt8(ascii: "i"):  // an object of a class by name
        _ = (try line(), try line())
        _ = try popToMark()
        push(.opaque)
      case UInt8(ascii: "o"):
        _ = try popToMark()
        push(.opaque)
      case 0x92:  // an object made with keywords
        _ = (try pop(), try pop(), try pop())
        push(.opaque)
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
      case 0x8a: try long(Int(byte()))
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

  private mutating func number(_ text: String) throws(Refusal) {
    // Protocol 0 has booleans as numbers of two digits.
    switch text {
    case "00": push(.bool(false))
    case "01": push(.bool(true))
    default: push(Int(text).map(Pickled.int) ?? .opaque)
    }
  }

  private func index(_ text: String) throws(Refusal) -> Int {
    guard let index = Int(text) else { throw Refusal(reason: "the pickle keeps a value under '\(text)'") }
    return index
  }

  private mutating func long(_ size: Int) throws(Refusal) {
    let part = Array(try take(size))
    guard part.count <= 8 else { return push(.opaque) }
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
    switch try top() {
    case .list(let list): list.items += values
    case .opaque: break
    default: throw Refusal(reason: "the pickle appends to something that is no list")
    }
  }

  private func set(_ values: [Pickled]) throws(Refusal) {
    let target = try top()
    if case .opaque = target { return }
    guard case .dict(let dict) = target, values.count % 2 == 0 else {
      throw Refusal(reason: "the pickle sets items of something that is no dictionary")
    }
    for i in stride(from: 0, to: values.count, by: 2) { dict.items.append((values[i], values[i + 1])) }
  }

  // MARK: What PyTorch's pickles name

  /// ('storage', type, key, device, count), and in files without a zip archive what it is a view of.
  private mutating func storage(_ id: Pickled) throws(Refusal) -> Pickled {
    guard case .tuple(let parts) = id, (5...6).contains(parts.count), case .string("storage") = parts[0],
      case .global(let type) = parts[1], case .string(let key) = parts[2], case .int(let count) = parts[4], count >= 0
    else { throw Refusal(reason: "the pickle has a storage of an unknown form") }
    if parts.count == 6 {
      guard case .none = parts[5] else { throw Refusal(reason: "the pickle has storages that are parts of others") }
    }
    let storage = PickledStorage(key: key, type: type, count: count)
    storages[key] = storage
    return .storage(storage)
  }

  private mutating func call() throws(Refusal) {
    let (arguments, function) = (try pop(), try pop())
    guard case .tuple(let values) = arguments, case .global(let name) = function else { return push(.opaque) }
    push(try result(of: name, values))
  }

  private func result(of name: String, _ values: [Pickled]) throws(Refusal) -> Pickled {
    switch name {
    case "collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict":
      let dict = Pickled.PickledDict()
      // Python 2 gives an OrderedDict its items as lists of two.
      if case .list(let pairs)? = values.first {
        for case .list(let pair) in pairs.items where pair.items.count == 2 {
          dict.items.append((pair.items[0], pair.items[1]))
        }
      }
      return .dict(dict)
    case "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor": return .tensor(try tensor(values))
    case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
      guard let value = values.first else { throw Refusal(reason: "the pickle has an empty parameter") }
      return value
    case "torch._tensor._rebuild_from_type_v2":
      // (function, class, arguments, state): a tensor of a subclass, or with attributes.
      guard values.count == 4, case .global(let function) = values[0], case .tuple(let arguments) = values[2],
        function != name
      else { return .opaque }
      return try result(of: function, arguments)
    case "torch.Size", "torch.jit._pickle.build_intlist", "torch.jit._pickle.build_doublelist",
      "torch.jit._pickle.build_boollist", "torch.jit._pickle.build_tensorlist":
      return values.first ?? .tuple([])
    case _ where name.hasPrefix("__torch__."):
      // A module of a TorchScript archive: an object with attributes and no behaviour.
      return .dict(.init())
    default: return .opaque
    }
  }

  private mutating func build() throws(Refusal) {
    let state = try pop()
    // State of an OrderedDict (`_metadata`) or the attributes of a module.
    if case .dict(let object) = try top(), case .dict(let attributes) = state { object.items += attributes.items }
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
