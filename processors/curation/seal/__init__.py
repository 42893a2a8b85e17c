"""From a window of rows to a dataset: decisions that need the population, as pure functions.

The result depends on the rows up to the stated offsets and on the recipe, never on the order in which
the rows were read. Every step takes candidates in canonical order and returns them so.
"""
