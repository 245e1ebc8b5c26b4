"""Benchmarks of what the project promises, against the tools that people would use instead."""
