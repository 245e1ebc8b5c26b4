"""The escrow: what is needed when nothing is left but one vault, sealed there, and opened by several custodians."""
