"""From a window of rows to a dataset: decisions that need the population, as pure functions of columns.

The result depends on the rows up to the stated offsets and on the recipe, never on the order in which the
rows were read. `survey` looks at each row once, `decide` at all of them without their texts. See
docs/adr/0015.
"""
