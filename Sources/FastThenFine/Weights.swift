// Whoever imports FastThenFine says .fp32 and .words without importing where those are declared: `Precision`, `PatchSource` and the modes of the
// interaction are all that is public there.
@_exported import FTFWeights
