"""The report of a drill: one HTML file that needs nothing else, and the same evidence as JSON."""
