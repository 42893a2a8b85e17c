"""Traces that people already have, as events. Pure: lines of a file in, events or reasons out."""
