"""Entrances for people: settings, wiring, the command line, the HTTP API, the demonstration."""
