"""Stand-ins for AudioCodes' Mediant SBC and OVOC, each on a port of its own (facts/audiocodes.md 1 and 3)."""
