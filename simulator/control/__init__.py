"""The control API under `/_sim/`: make tenants, change them, cause trouble, and look at what was asked."""
