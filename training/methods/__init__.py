"""Training methods, one file each, all behind one protocol."""
