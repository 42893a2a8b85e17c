"""Whether the world has changed enough to train again."""
