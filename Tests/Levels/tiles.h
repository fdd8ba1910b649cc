/// Lets this process run the tile instructions of AMX that the kernels use on an x86-64 CPU that has none, one trap each, by what the manual of the
/// architecture says of them; ends the process where it says that one faults.
void emulate_tiles(void);
