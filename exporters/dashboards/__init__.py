"""Grafana dashboards: written in Python, committed as the JSON that Grafana loads.

`python -m exporters.dashboards.generate` prints `json/` from the modules here, with grafana-foundation-sdk. Nothing
that runs in production imports that SDK: `shipped` reads the files.
"""
