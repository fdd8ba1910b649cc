import FTFKernels
import Synchronization
import FTFWeights

/// The one way from a query to ranked items, in two stages: recall scans the coarse vectors of every item that a filter left, the
/// rerank reads the fine ones of the best. `search`, `eval` and `profile` run it. Constant after `init`: any number of threads
/// may search at once.
package final class Pipeline<Source: ItemSource>: Sendable {
  private let sources: [Source]
  /// The position of each source's first item among all, and at the end the number of all.
  private let offsets: [Int]
  /// Whether each item is searched; nil where all are.
  private let live: Bitmap?
  /// Nil where nothing is known of how near items are to whatever is asked.
  private let hubness: HubnessCache?
  /// Pages that this process had waited for a disk for when candidates were last brought.
  private let waits = Atomic(-1)

  /// Items that are searched.
  package let count: Int
  /// Those that a filter left out too.
  package var items: Int { offsets.last! }

  /// - Parameter live: whether each item, counted through all sources, is searched; nil for all.
  package init(_ sources: [Source], live: Bitmap? = nil, hubness: Hubness? = nil) {
    offsets = sources.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    precondition(live?.count ?? offsets.last! == offsets.last!, "Pipeline: a filter of another length")
    (self.sources, self.live) = (sources, live)
    self.hubness = hubness.map { [offsets] in HubnessCache($0, items: offsets.last!) }
    count = live?.ones ?? offsets.last!
  }

  /// Stage 1: the best by s_c, ties by the lower item.
  ///
  /// - Parameters:
  ///   - isLast: nobody asks after it, so that what was read leaves this process's memory as the scan goes on.
  ///   - check: is called every so often; what it throws ends the search.
  package func recall(
    _ query: EncodedQuery, limit: Int, isLast: Bool = false, with kernels: KernelSet, check: () throws -> Void
  ) rethrows -> [Candidate] {
    try recall([query], limits: [limit], isLast: isLast, with: kernels, check: check)[0]
  }

  package func recall(_ query: EncodedQuery, limit: Int, with kernels: KernelSet) -> [Candidate] {
    recall([query], limits: [limit], with: kernels)[0]
  }

  /// Stage 1 among a few items, those that a filter left out left out.
  package func recall(_ query: EncodedQuery, among items: [Int], with kernels: KernelSet) -> [Candidate] {
    var list = TopList(limit: items.count)
    let (score, single) = (AlignedBuffer<Float>(count: 1, repeating: 0), kernels.singleThreaded)
    for item in items where live?[item] ?? true {
      let (source, index) = place(item)
      single.dots(source.item(index).coarse, query.view.coarse, into: score)
      list.insert(score[0], item)
    }
    return list.candidates()
  }

  /// Rows that are read at once: with the scores of eight queries they stay in the second cache.
  private static var blockRows: Int { 1024 }
  /// Of a block of which a filter left no more, these alone are read: that is as fast as all of it.
  private static var fewRows: Int { 32 }
  /// Blocks that a thread reads between two looks at whether to go on: some milliseconds.
  private static var stepBlocks: Int { 256 }
  /// Blocks that stay in a thread's memory where the query is the last one: some megabytes.
  private static var passedBlocks: Int { 8 }

  /// Stage 1 of several queries, each as if it came alone; the coarse vectors are read from memory once for all of them, and nothing is as long as there
  /// are items.
  ///
  /// - Parameter limits: of each query.
  package func recall(_ queries: [EncodedQuery], limits: [Int], isLast: Bool = false, with kernels: KernelSet) -> [[Candidate]] {
    recall(queries, limits: limits, isLast: isLast, with: kernels) {}
  }

  private func recall(
    _ queries: [EncodedQuery], limits: [Int], isLast: Bool, with kernels: KernelSet, check: () throws -> Void
  ) rethrows -> [[Candidate]] {
    precondition(queries.count == limits.count && !queries.isEmpty, "recall: limits for \(limits.count) of \(queries.count) queries")
    let joined = VectorSet(joining: queries.map(\.coarse))
    let blocks = zip(sources, offsets).enumerated().flatMap { place, pair in
      stride(from: 0, to: pair.0.count, by: Self.blockRows).map { (source: place, rows: $0..<min($0 + Self.blockRows, pair.0.count)) }
        .filter { live?.ones(in: pair.1 + $0.rows.lowerBound..<pair.1 + $0.rows.upperBound) ?? 1 > 0 }
    }
    let empty = limits.map { TopList(limit: min($0, count)) }
    var lists = [[TopList]](repeating: empty, count: kernels.threads)
    for first in stride(from: 0, to: blocks.count, by: Self.stepBlocks * kernels.threads) {
      try check()
      let step = blocks[first..<min(first + Self.stepBlocks * kernels.threads, blocks.count)]
      lists = kernels.parallelMap(kernels.threads) { [lists] thread in
        var own = lists[thread]
        let run = step.count * thread / kernels.threads..<step.count * (thread + 1) / kernels.threads
        var rest = step[first + run.lowerBound..<first + run.upperBound]
        while !rest.isEmpty {
          let some = isLast ? rest.prefix(Self.passedBlocks) : rest
          read(some, joined, kernels.singleThreaded, &own)
          if isLast { for block in some { sources[block.source].pass(block.rows) } }
          rest = rest.dropFirst(some.count)
        }
        return own
      }
    }
    return limits.indices.map { query in
      var all = TopList(limit: min(limits[query], count))
      for list in lists { for candidate in list[query].candidates() { all.insert(candidate.recall, candidate.item) } }
      return all.candidates()
    }
  }

  /// Shows the items of some blocks to the lists of the queries.
  private func read(_ blocks: ArraySlice<(source: Int, rows: Range<Int>)>, _ queries: VectorSet, _ kernels: KernelSet, _ lists: inout [TopList]) {
    let scores = AlignedBuffer<Float>(count: lists.count * Self.blockRows, repeating: 0)
    for place in blocks.indices {
      let (block, next) = (blocks[place], blocks[min(place + 1, blocks.endIndex - 1)])
      let (source, nextSource) = (sources[block.source], sources[next.source])
      let all = offsets[block.source] + block.rows.lowerBound..<offsets[block.source] + block.rows.upperBound
      if let live, live.ones(in: all) <= Self.fewRows {
        live.forEach(in: all) { item in
          kernels.dots(source.item(item - offsets[block.source]).coarse, queries.view, into: scores)
          for query in lists.indices { lists[query].insert(scores[query], item) }
        }
        continue
      }
      kernels.dots(
        source.coarse.extracting(block.rows), queries.view, ahead: nextSource.coarse.extracting(next.rows).codes.memory, into: scores)
      let (first, length) = (all.lowerBound, block.rows.count)
      for query in lists.indices {
        lists[query].insert(scores.span.extracting(query * length..<(query + 1) * length), first: first, live)
      }
    }
  }

  /// Stage 1 and what it saw, for whoever ranks everything.
  ///
  /// - Parameter body: is given the best, and s_c of every item, f32[items].
  func recall<R>(
    _ query: EncodedQuery, limit: Int, with kernels: KernelSet, _ body: ([Candidate], AlignedBuffer<Float>) -> R
  ) -> R {
    var list = TopList(limit: min(limit, count))
    let scores = AlignedBuffer<Float>(count: items, repeating: 0)
    for (source, offset) in zip(sources, offsets) where source.count > 0 {
      kernels.dots(source.coarse, query.view.coarse, into: scores, at: offset)
      list.insert(scores.span.extracting(offset..<offset + source.count), first: offset, live)
    }
    return body(list.candidates(), scores)
  }

  /// Stage 2 over the first `interaction.candidates`; what lies beyond keeps its order behind them.
  package func reranked(
    _ candidates: [Candidate], for query: EncodedQuery, _ interaction: InteractionConfig, with kernels: KernelSet
  ) -> [Candidate] {
    guard interaction.mode != .none else { return candidates }
    let count = min(interaction.candidates, candidates.count)
    bring(candidates.prefix(count))
    let fine = fineScores(candidates, count, for: query, interaction, with: kernels)
    let first = Array(candidates.prefix(count))
    let best = fused(first, fine: fine, hubness: hubs(first, interaction, with: kernels), interaction)
    // What lies beyond is no better than the last of them: a score never rises along the list.
    let least = best.last?.score ?? 0
    return best
      + candidates.dropFirst(count).map { candidate in
        var candidate = candidate
        candidate.score = min(candidate.score, least)
        return candidate
      }
  }

  /// What is taken off each candidate's score, whatever is asked; nil for nothing.
  func hubs(_ candidates: [Candidate], _ interaction: InteractionConfig, with kernels: KernelSet) -> [Float]? {
    guard interaction.hubness > 0, let hubness else { return nil }
    let single = kernels.singleThreaded
    return hubness.values(candidates.map(\.item), with: kernels) { hubness, item in
      let (source, index) = place(item)
      return hubness.value(of: source.item(index).coarse, with: single)
    }
  }

  /// Begins to read what a rerank needs of all candidates at once. Where all is in memory, a look at each would take longer than the rerank: so it is left
  /// while nothing had to be waited for.
  package func bring(_ candidates: some Sequence<Candidate>) {
    let now = Processors.diskWaits
    guard waits.exchange(now, ordering: .relaxed) != now else { return }
    for candidate in candidates {
      let (source, index) = place(candidate.item)
      source.bring(index)
    }
  }

  /// s_f of the first `count` candidates.
  func fineScores(
    _ candidates: [Candidate], _ count: Int, for query: EncodedQuery, _ interaction: InteractionConfig, with kernels: KernelSet
  ) -> [Float] {
    let single = kernels.singleThreaded
    let scores = AlignedBuffer<Float>(count: count, repeating: 0)
    // A run of candidates for each thread, so that each reads ahead.
    kernels.parallelFor(min(kernels.threads, count)) { thread in
      let run = count * thread / kernels.threads..<count * (thread + 1) / kernels.threads
      score(candidates, run, query, interaction, single, into: scores)
    }
    return (0..<count).map { scores[$0] }
  }

  private func score(
    _ candidates: [Candidate], _ run: Range<Int>, _ query: EncodedQuery, _ interaction: InteractionConfig,
    _ kernels: KernelSet, into fine: AlignedBuffer<Float>
  ) {
    var scorer = PairScorer()
    let (query, isImage) = (query.view, query.isImage)
    for i in run {
      let (source, index) = place(candidates[i].item)
      let recall = candidates[i].recall
      if isImage {
        fine[i] = scorer.score(
          image: query, text: source.item(index), recall: recall, interaction, ahead: RawSpan(), with: kernels)
      } else {
        let (next, nextIndex) = place(candidates[min(i + 1, run.upperBound - 1)].item)
        fine[i] = scorer.score(
          image: source.item(index), text: query, recall: recall, interaction,
          ahead: next.bytes(ofItem: nextIndex), with: kernels)
      }
    }
  }

  /// Where a sentence looked in an image: f32[N], sum 1.
  package func attention(
    _ item: Int, for query: EncodedQuery, _ interaction: InteractionConfig, with kernels: KernelSet
  ) -> [Float] {
    let (source, index) = place(item)
    var scorer = PairScorer()
    return scorer.attention(image: source.item(index), text: query.view, interaction, with: kernels.singleThreaded)
  }

  /// The source that holds an item, and its index there.
  package func place(_ item: Int) -> (source: Source, index: Int) {
    var (low, high) = (0, sources.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if offsets[middle] <= item { low = middle } else { high = middle }
    }
    return (sources[low], item - offsets[low])
  }
}
