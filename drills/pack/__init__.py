"""The evidence pack: everything about one drill in a zip, with a verifier that needs only Python."""
