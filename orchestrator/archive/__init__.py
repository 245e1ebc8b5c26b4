"""Continuous archiving of PostgreSQL to every vault, by pgBackRest on the database's host, and recovery to a moment.

What was archived until when is read from each vault's own listing, and never from a log of pgBackRest.
"""
