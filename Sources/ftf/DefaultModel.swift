import FastThenFine

func defaultModel() throws -> String { try ModelPlaces.defaultModel() }

/// The model that is given, or the one that built an index.
func modelPath(of index: ImageIndex, given: String?) throws -> String { try given ?? ModelPlaces.model(of: index) }
