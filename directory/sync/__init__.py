"""The sync engine: Microsoft's directory into the mirror (DESIGN 5)."""
