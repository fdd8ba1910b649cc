/// A module of the client's, of a name that a module of the library's could have.
public enum Files {}
