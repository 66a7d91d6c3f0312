"""Ways through a world of links: the longest prefix, and the shortest path, found so that nobody has to write routes.

A path goes from router to router: hosts end paths and forward nothing. It is as long as the sum of its links' metrics, each
taken in its own direction; of two equally long ones the one with fewer links is taken, and then the one whose nodes were made
earlier. Links that are down are on no path; links that are cut are, since nobody knows that they are.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..address import Cidr

if TYPE_CHECKING:
    from .nodes import Node, Way

MASKS = tuple(0xFFFFFFFF >> (32 - length) << (32 - length) for length in range(33))


class Routes:
    """A table: prefixes, and the way that each is reached by."""

    __slots__ = ("_answers", "_lengths", "_tables")

    def __init__(self, entries: Iterable[tuple[Cidr, Way]]) -> None:
        """A later entry replaces an earlier one for the same prefix."""
        self._tables: dict[int, dict[int, Way]] = {}
        for cidr, way in entries:
            self._tables.setdefault(cidr.length, {})[cidr.network] = way
        self._lengths = sorted(self._tables, reverse=True)
        self._answers: dict[int, Way] = {}

    def lookup(self, dst: int) -> Way | None:
        """The way of the longest prefix that `dst` is in."""
        way: Way | None = self._answers.get(dst)
        if way is None:
            for length in self._lengths:
                way = self._tables[length].get(dst & MASKS[length])
                if way is not None:
                    if len(self._answers) < 65536:  # a scan of all addresses must not fill the memory
                        self._answers[dst] = way
                    break
        return way


def shortest(origin: Node) -> list[tuple[Node, Way]]:
    """Every node that can be reached from `origin`, nearest first, and the first way towards it."""
    found: list[tuple[Node, Way]] = []
    settled = {origin}
    edge: list[tuple[int, int, int, int, Node, Way]] = []
    tried = 0

    def expand(node: Node, distance: int, links: int, first: Way | None) -> None:
        nonlocal tried
        for way in node.ways:
            if way.link.is_down or way.target in settled:
                continue
            tried += 1  # no two entries compare equal before the nodes, which have no order
            key = (distance + way.metric, links + 1, way.target.number, tried)
            heapq.heappush(edge, (*key, way.target, way if first is None else first))

    expand(origin, 0, 0, None)
    while edge:
        distance, links, _, _, node, first = heapq.heappop(edge)
        if node in settled:
            continue
        settled.add(node)
        found.append((node, first))
        if node.forwards:
            expand(node, distance, links, first)
    return found


def routes_from(origin: Node) -> Routes:
    """What the origin's table holds: the prefixes of all others, and what was written by hand, which wins."""
    entries = [(cidr, way) for node, way in reversed(shortest(origin)) for cidr in node.prefixes]
    return Routes(entries + origin.by_hand)
