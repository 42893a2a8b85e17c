"""Union-find over numbered things."""

from __future__ import annotations


class Groups:
    """Disjoint sets of 0…n−1; a set's name is its smallest member."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, item: int) -> int:
        """The smallest member of the item's set."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, left: int, right: int) -> None:
        """Make one set of two."""
        left, right = self.root(left), self.root(right)
        self._parent[max(left, right)] = min(left, right)
