import FTFInterchange
import Foundation
import Testing

/// JSON as it is written, against the library's reader.
@Suite struct JSONTexts {
  @Test func whatIsWrittenIsReadAsItWas() throws {
    let strings = ["", "plain", "\"quoted\" \\ / \u{8}\u{c}\n\r\t\u{1f}\u{7f}", "é e\u{301} 🛰", "\u{0}"]
    let parsed = try #require(
      JSONSerialization.jsonObject(with: Data(#"{"a":[1,2.5,true,false,null,"x",{"b":-0.001,"n":1}],"t":1e300,"i":9223372036854775807}"#.utf8))
        as? [String: Any])
    let object: [String: Any] = [
      "strings": strings, "whole": 7, "large": Int64.min, "number": 0.1, "round": 3.0, "small": 1e-7, "float": Float(0.1), "yes": true, "no": false,
      "null": NSNull(), "numbers": [1.5, 2], "rows": [[1, 2], []], "parsed": parsed, "é": ["z": 1, "a": 2],
    ]
    let text = JSONText.of(object)
    let read = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(read["strings"] as? [String] == strings && read["float"] as? Double == 0.1 && read["large"] as? Int64 == Int64.min)
    #expect(read["yes"] as? Bool == true && text.contains(#""yes":true"#) && text.contains(#""round":3,"#) && text.contains(#""whole":7"#))
    #expect(read["parsed"] as? NSDictionary == parsed as NSDictionary && read["numbers"] as? [Double] == [1.5, 2])
    #expect(text.contains(#""é":{"a":2,"z":1}"#) && text.contains(#"[1,2.5,true,false,null,"x",{"b":-0.001,"n":1}]"#))
    #expect(JSONText.of(["x": Double.nan, "y": -Double.infinity]) == #"{"x":null,"y":null}"#)
  }
}
