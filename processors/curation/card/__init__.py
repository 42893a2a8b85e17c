"""The data card of a sealed dataset: what it says, and how it looks."""
