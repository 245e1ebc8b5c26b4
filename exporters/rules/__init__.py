"""The rules for Prometheus: what is recorded, and what alerts. Data only; `exporters.rules.write` makes YAML of it."""
