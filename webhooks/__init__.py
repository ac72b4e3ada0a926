"""Events sent to other systems, signed and in order."""
