import FastThenFine

func defaultModel() throws -> String { try toldHow { try ModelPlaces.defaultModel() } }

/// The model that is given, or the one that built an index.
func modelPath(of index: ImageIndex, given: String?) throws -> String { try given ?? toldHow { try ModelPlaces.model(of: index) } }

/// What the library found, and how to tell the command.
private func toldHow(_ find: () throws -> String) throws -> String {
  do {
    return try find()
  } catch let error as FastThenFineError {
    switch error.code {
    case .unusableModel: throw Failure("\(error) with --model")
    case .otherModel: throw Failure("\(error) (--vectors, and --model of index import)")
    default: throw error
    }
  }
}
