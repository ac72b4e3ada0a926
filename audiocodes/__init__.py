"""The outside line to AudioCodes devices: what is written on them, and how it is read. Knows no Django."""
