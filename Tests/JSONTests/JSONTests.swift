import FTFJSON
import Foundation
import Testing

/// JSON as it is read and written, against the library's reader.
@Suite struct JSONValues {
  private func library(_ text: String) -> JSONValue? {
    (try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)).map(value)
  }

  private func value(_ any: Any) -> JSONValue {
    switch any {
    case is NSNull: return .null
    case let text as String: return .text(text)
    case let number as NSNumber:
      switch unsafe String(cString: number.objCType) {
      case "c", "B": return .bool(number.boolValue)
      case "d", "f", "Q": return .number(number.doubleValue)
      default: return .whole(number.int64Value)
      }
    case let items as [Any]: return .list(items.map(value))
    default: return .object((any as! [String: Any]).map { .init($0.key, value($0.value)) })
    }
  }

  /// In whatever order the members of objects stand; the library's numbers are off by some units in the last place.
  private func same(_ a: JSONValue?, _ b: JSONValue?) -> Bool {
    switch (a, b) {
    case (.object?, .object?):
      guard let a = a?.members, let b = b?.members, a.keys.sorted() == b.keys.sorted() else { return false }
      return a.allSatisfy { same($0.value, b[$0.key]) }
    case (.list(let a)?, .list(let b)?): return a.count == b.count && zip(a, b).allSatisfy { same($0, $1) }
    case (let a?, let b?):
      guard let x = a.double, let y = b.double else { return a == b }
      return abs(x - y) <= 1e-14 * abs(x)
    default: return a == nil && b == nil
    }
  }

  private func anything(_ numbers: inout SystemRandomNumberGenerator, _ depth: Int) -> JSONValue {
    func text() -> String { String((0..<Int.random(in: 0..<9)).map { _ in ["a", "é", "\"", "\\", "\n", "\u{1}", "/", "🛰", "z"].randomElement()! }) }
    switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &numbers) {
    case 0: return .null
    case 1: return .bool(.random())
    case 2: return .whole(Int64.random(in: .min ... .max) >> Int64.random(in: 0..<64))
    case 3: return .number(Double(Int64.random(in: -1_000_000_000_000_000...1_000_000_000_000_000)) / pow(10, Double(Int.random(in: 0..<16))))
    case 4: return .number(Double(bitPattern: UInt64.random(in: 0..<0x7ff0_0000_0000_0000)))
    case 5: return .text(text())
    case 6: return .list((0..<Int.random(in: 0..<4)).map { _ in anything(&numbers, depth - 1) })
    default: return .object((0..<Int.random(in: 0..<4)).map { .init(text() + "\($0)", anything(&numbers, depth - 1)) })
    }
  }

  @Test func whatIsWrittenIsReadByBothAsItWas() throws {
    var numbers = SystemRandomNumberGenerator()
    for _ in 0..<3000 {
      let written = anything(&numbers, 3).json
      let read = try #require(JSONValue(written), "\(written)")
      #expect(read.json == written)
      #expect(same(read, library(written)), "\(written)")
    }
  }

  /// One byte of a text is changed, put in or left out: both take it, for the same, or neither does.
  @Test func bothTakeTheSame() {
    let whole = #" {"a":[1,2.5,-0.001,1e-7,true,false,null,"x\u00e9\n"],"é":{"b":{},"c":[]},"i":9223372036854775807} "#
    let bytes = Array(whole.utf8)
    func replaced(_ place: Range<Int>, _ new: [UInt8]) -> String? {
      var tried = bytes
      tried.replaceSubrange(place, with: new)
      return String(validating: tried, as: UTF8.self)
    }
    for place in bytes.indices {
      for byte in Array("{}[],:\"\\-+.eE019tfnu \u{1}a".utf8) {
        for text in [replaced(place..<place + 1, [byte]), replaced(place..<place, [byte]), replaced(place..<place + 1, [])] {
          // The library takes a comma behind the last, which is no JSON.
          guard let text, !text.contains(",]"), !text.contains(",}") else { continue }
          let (ours, theirs) = (JSONValue(text), library(text))
          #expect(same(ours, theirs), "\(text): \(ours?.json ?? "none"), \(theirs?.json ?? "none")")
        }
      }
    }
  }

  /// What Foundation's types hold is the number that was written, which its own reader does not always find.
  @Test func numbersComeToFoundationAsTheyWere() throws {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<1000 {
      let (number, whole) = (Double.random(in: -1e6...1e6, using: &random), Int64.random(in: .min ... .max, using: &random))
      let any = try #require(JSONValue(#"{"a":[\#(number),\#(whole),true],"b":null,"c":"x"}"#)?.any as? [String: Any])
      let items = try #require(any["a"] as? [NSNumber])
      #expect(items[0].doubleValue == number && items[1].int64Value == whole && "\(items[0])" == "\(number)" && "\(items[1])" == "\(whole)")
      #expect(value(items[2]) == .bool(true) && any["b"] is NSNull && any["c"] as? String == "x")
    }
    #expect(JSONValue(Data([0xef, 0xbb, 0xbf]) + Data("[1]".utf8)) == .list([1]) && JSONValue(Data([0x22, 0xff, 0x22])) == nil)
  }

  @Test func formsThatAreTold() throws {
    let value = try #require(JSONValue(#"{"b":1,"a":{"z":[1,"x"],"y":2.0},"n":null,"b":2}"#))
    #expect(value.json == #"{"a":{"y":2,"z":[1,"x"]},"b":2,"n":null}"#)
    #expect(value["b"] == .whole(2) && value["a"]?["y"]?.double == 2 && value["c"] == nil && value.members?.count == 3)
    #expect(JSONValue.number(.nan).json == "null" && JSONValue.single(0.1).json == "0.1" && JSONValue.number(-0.5).json == "-0.5")
    #expect(JSONValue("18446744073709551616") == .number(18446744073709551616) && JSONValue("-9223372036854775808") == .whole(Int64.min))
    #expect(JSONValue.text("a\"b").description == "a\"b" && JSONValue.list([1.5]).description == "[1.5]")
    let deep = String(repeating: "[", count: 513) + String(repeating: "]", count: 513)
    #expect(JSONValue(deep) == nil && JSONValue(String(deep.dropFirst().dropLast())) != nil)
    #expect(JSONValue(String(repeating: "[", count: 1_000_000)) == nil && JSONValue(String(repeating: #"{"a":"#, count: 1_000_000)) == nil)
    for bad in ["", " ", "{", "{,}", #"{"a"}"#, "[1,]", "01", "1.", ".5", "-", "+1", "1e", "tru", "\"", "\"\\", "\"\u{1}\"", "1 2", "nan", "1e999"] {
      #expect(JSONValue(bad) == nil, "\(bad)")
    }
  }
}
