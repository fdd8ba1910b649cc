import Foundation

extension KernelProfile {
  /// A roofline: multiply-adds a second over multiply-adds a byte, both in powers of two, with the ceilings of the best level that was timed and a
  /// point for each of its kernels. SVG.
  package var roofline: String {
    let best = rows.last?.level ?? ""
    let points = rows.filter { $0.level == best && $0.macs > 0 }
    let peak = (peaks[best] ?? points.map { $0.macRate * 1e9 }.max() ?? 1) / 1e9
    let (left, right) = (-2.0, 10.0)
    let (top, bottom) = (log2(peak) + 0.7, log2(peak) - 8)
    let (width, height, margin) = (860.0, 480.0, 60.0)
    func x(_ intensity: Double) -> Double { margin + (log2(intensity) - left) / (right - left) * (width - 2 * margin) }
    func y(_ rate: Double) -> Double { height - margin - (max(log2(rate), bottom) - bottom) / (top - bottom) * (height - 2 * margin) }
    func text(_ x: Double, _ y: Double, _ words: String, _ more: String = "") -> String {
      String(format: "<text x=\"%.1f\" y=\"%.1f\" %@>%@</text>", x, y, more, words)
    }
    var parts = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(Int(width)) \(Int(height))\" font-family=\"sans-serif\" font-size=\"12\">",
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
      text(margin, 28, "\(model), \(best), one core of \(cpu): kernels against what the core reaches", "font-size=\"15\""),
      text(width / 2, height - 14, "multiply-adds a byte", "text-anchor=\"middle\""),
      text(16, height / 2, "GMAC/s", "transform=\"rotate(-90 16 \(height / 2))\" text-anchor=\"middle\""),
    ]
    for power in Int(left)...Int(right) {
      let at = x(exp2(Double(power)))
      parts.append(String(format: "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#eee\"/>", at, margin, height - margin))
      parts.append(text(at, height - margin + 18, power < 0 ? "1/\(1 << -power)" : "\(1 << power)", "text-anchor=\"middle\" fill=\"#555\""))
    }
    for power in Int(bottom.rounded(.up))...Int(top) {
      let at = y(exp2(Double(power)))
      parts.append(String(format: "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#eee\"/>", margin, at, width - margin))
      parts.append(text(margin - 8, at + 4, String(format: "%g", exp2(Double(power))), "text-anchor=\"end\" fill=\"#555\""))
    }
    parts.append(String(format: "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#333\" stroke-width=\"2\"/>", margin, y(peak), width - margin))
    parts.append(text(width - margin, y(peak) - 6, String(format: "%.0f GMAC/s on registers", peak), "text-anchor=\"end\""))
    var drawn = 0.0
    for line in bandwidths.reversed() where line[1] > 1.2 * drawn {
      drawn = line[1]
      let rate = line[1] / 1e9
      let (from, to) = (max(exp2(left), exp2(bottom) / rate), peak / rate)
      let size = line[0] < Double(1 << 20) ? "\(Int(line[0]) >> 10) KB" : "\(Int(line[0]) >> 20) MB"
      parts.append(
        String(format: "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#999\" stroke-dasharray=\"4 3\"/>", x(from), y(from * rate), x(to), y(peak)))
      parts.append(text(x(to), y(peak) - 22, size, "text-anchor=\"middle\" fill=\"#555\" font-size=\"10\""))
    }
    let colours = ["#1b6ca8", "#c0392b", "#1e8449", "#8e44ad", "#b9770e", "#117a65", "#5d6d7e"]
    let operations = points.reduce(into: [String]()) { if !$0.contains($1.operation) { $0.append($1.operation) } }
    for (i, operation) in operations.enumerated() {
      let colour = colours[i % colours.count]
      for row in points where row.operation == operation {
        parts.append(
          String(
            format: "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%@\" fill-opacity=\"0.7\"><title>%@: %.1f GMAC/s, %.2f us</title></circle>",
            x(Double(row.macs) / Double(row.bytes)), y(row.macRate), colour, "\(row.operation) \(row.shape)", row.macRate, row.median))
      }
      parts.append(
        String(format: "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%@\"/>", width - margin - 130, height - margin - 14 - 17 * Double(i), colour))
      parts.append(text(width - margin - 120, height - margin - 10 - 17 * Double(i), operation))
    }
    return parts.joined(separator: "\n") + "\n</svg>\n"
  }
}
