"""Decisions: pure functions of what they are given. No clock, no Kafka, no database, no torch."""
