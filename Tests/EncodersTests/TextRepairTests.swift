import Testing
import FTFTokenization

/// What ftfy 6.3.1 and Python's html.unescape, twice, make of these.
@Test(arguments: [
  ("a river", "a river"), ("Farmer\u{2019}s \u{201c}field\u{201d}", "Farmer's \"field\""), ("cats &amp; dogs", "cats & dogs"), ("&amp;amp;lt;", "<"),
  ("a \u{fb01}eld", "a field"), ("\u{ff21}\u{3000}\u{ff42}", "A b"), ("\u{1b}[31mred\u{1b}[0m", "red"),
  ("one\r\ntwo\rthree\u{2028}four", "one\ntwo\nthree\nfour"),
  ("cafe\u{301}", "caf\u{e9}"), ("&#39;s &#x2019;", "'s '"), ("&copy 2020 &notit;", "\u{a9} 2020 \u{ac}it;"),
  ("R&D AT&T; &unknown;", "R&D AT&T; &unknown;"),
  ("a <b> &rsquo;", "a <b> \u{2019}"), ("x\u{7}y\u{feff}z", "xyz"), ("\u{85}\u{91}", "\u{2026}'"), ("&#150;&#0;", "\u{2013}\u{fffd}"),
]) func textsAreRepairedAsTheirLibrariesDo(text: String, expected: String) {
  #expect(TextRepair.repaired(text).unicodeScalars.elementsEqual(expected.unicodeScalars), "\(TextRepair.repaired(text).debugDescription)")
}
