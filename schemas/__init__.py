"""What travels between the rooms: events, rows, datasets, verdicts, errors, metrics.

Frozen types on pydantic and the standard library only; every other room may import this one, and
this one imports none.
"""
