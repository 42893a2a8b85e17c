"""A small reference gateway: `python -m serving.reference`. Imported by nobody."""
