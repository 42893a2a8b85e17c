"""Sealed datasets and golden sets: content-addressed, complete or not there."""
