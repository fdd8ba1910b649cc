import FastThenFine
import Foundation

/// One HTML page with what each sentence found: recall's answers, the reranked ones, and where they were found.
struct DemoPage {
  struct Precision {
    var name: String
    var recall: Double
    var reranked: Double
  }

  private let engine: Engine
  private let output: String
  private var sections: [String] = []
  private var pictures: Set<String> = []
  /// Of the drawn scenes, by kind.
  var precision: [Precision] = []

  init(engine: Engine, output: String) { (self.engine, self.output) = (engine, output) }

  mutating func add(_ question: String, before: Answer, after: Answer) throws {
    let number = sections.count + 1
    try FileManager.default.createDirectory(atPath: "\(output)/pictures", withIntermediateDirectories: true)
    var recalled = ""
    for result in before.results {
      recalled += Self.figure(
        try thumbnail(result), title: "\(result.rank)", caption: String(format: "%.3f", result.recallScore),
        name: result.name)
    }
    var reranked = ""
    for result in after.results {
      let plain = try thumbnail(result)
      var heat = plain
      if let weights = result.attention {
        heat = "pictures/heat-\(number)-\(result.rank).jpg"
        try HeatMap.picture(weights, of: result, with: engine).write(jpeg: "\(output)/\(heat)", quality: 88)
      }
      let move = result.recallRank - result.rank
      let arrow = move > 0 ? "▲\(move)" : move < 0 ? "▼\(-move)" : "="
      reranked += Self.figure(
        plain, over: heat, title: "\(result.rank) <i>\(arrow)</i>",
        caption: String(format: "%.3f <small>recall %.3f</small>", result.score, result.recallScore), name: result.name)
    }
    let times = String(
      format: "warm: encode %.2f ms · recall %.2f ms · rerank %.2f ms", after.encodeMilliseconds, after.recallMilliseconds,
      after.rerankMilliseconds)
    sections.append(
      """
      <section><h2>\(Self.escaped(question))</h2><p class="times">\(times)</p>
      <div class="row"><h3>fast: recall</h3>\(recalled)</div>
      <div class="row"><h3>fine: rerank<br><small>point at a picture to see it without the heat</small></h3>\(reranked)</div></section>
      """)
  }

  /// A JPEG of a result, written once.
  private mutating func thumbnail(_ result: Answer.Result) throws -> String {
    let path = "pictures/\(result.id).jpg"
    if pictures.insert(path).inserted {
      try HeatMap.picture(of: result, with: engine).write(jpeg: "\(output)/\(path)", quality: 88)
    }
    return path
  }

  private static func figure(_ image: String, over: String? = nil, title: String, caption: String, name: String)
    -> String
  {
    let shown = over.map { "<img class=\"heat\" src=\"\($0)\" alt=\"\">" } ?? ""
    let file = escaped(URL(fileURLWithPath: name).lastPathComponent)
    return """
      <figure><div><img src="\(image)" alt="\(file)" loading="lazy">\(shown)<b>\(title)</b></div>
      <figcaption>\(caption)<br><span>\(file)</span></figcaption></figure>
      """
  }

  static func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
      .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
  }

  func write(title: String) throws {
    var table = ""
    if !precision.isEmpty {
      let rows = precision.map {
        String(format: "<tr><td>%@</td><td>%.2f</td><td>%.2f</td></tr>", $0.name as NSString, $0.recall, $0.reranked)
      }
      table = """
        <details><summary>How often the first answer shows the right thing</summary>
        <table><tr><th>kind</th><th>recall</th><th>reranked</th></tr>\(rows.joined())</table></details>
        """
    }
    let config = engine.model.config
    let html = """
      <!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
      <title>\(Self.escaped(title))</title><style>\(Self.style)</style>
      <header><h1>\(Self.escaped(title))</h1>
      <p>A sentence is compared with one vector an image (fast); the best \(config.interaction.candidates) are compared again,
      patch by patch (fine). The heat shows which patches the words attended to. Model \(Self.escaped(config.name)),
      \(engine.model.precision.rawValue), level \(engine.kernels.level.rawValue), \(engine.kernels.threads) threads. Times are those of a program that
      is running: a sentence takes them from its words to its order.</p>\(table)</header>
      \(sections.joined(separator: "\n"))</html>
      """
    try writeOutput(Data(html.utf8), to: "\(output)/index.html")
  }

  private static let style = """
    :root{color-scheme:dark}body{margin:0;background:#14171a;color:#e6e8ea;font:15px/1.45 system-ui,sans-serif}
    header,section{max-width:1180px;margin:0 auto;padding:20px 24px}header p{max-width:760px;color:#a9b1b8}
    h1{font-size:26px;margin:12px 0 4px}h2{font-size:19px;margin:0}h2::before{content:"“"}h2::after{content:"”"}
    section{border-top:1px solid #2a2f34}.times{margin:2px 0 12px;color:#7d868e;font-size:13px}
    .row{display:flex;gap:12px;align-items:flex-start;margin-bottom:10px}.row h3{width:120px;flex:none;font-size:13px;color:#a9b1b8;margin:4px 0;font-weight:600}
    small,.row h3 small{color:#7d868e;font-weight:400}figure{margin:0;flex:1;min-width:0;max-width:190px}figure div{position:relative}
    img{width:100%;display:block;border-radius:6px}img.heat{position:absolute;inset:0;transition:opacity .15s}figure div:hover img.heat{opacity:0}
    figure b{position:absolute;left:6px;top:6px;background:#000a;padding:0 7px;border-radius:9px;font-size:12px}b i{font-style:normal;color:#ffc46b;margin-left:3px}
    figcaption{font-size:13px;margin-top:4px;font-variant-numeric:tabular-nums}figcaption span{color:#7d868e;font-size:12px;overflow-wrap:anywhere}
    table{border-collapse:collapse;margin-top:8px;font-variant-numeric:tabular-nums}td,th{padding:2px 18px 2px 0;text-align:left}summary{cursor:pointer;color:#a9b1b8}
    """
}
