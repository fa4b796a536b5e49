"""Model the counts of a table as a graph, to find the hidden ones that others can compute.

A node is a sum; a count is an edge between the two sums it belongs to. A hidden count follows from the
others exactly if its edge is a bridge of the hidden edges, that is, on no cycle of them. (The sums of a
two-way table are a network matrix; see D. Gusfield, "A graph theoretic approach to statistical data
security", SIAM Journal on Computing 17, 1988.)
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple

from streamer.panes.pane_keys import ALL
from streamer.readings.query import key_parts

Count = tuple[str, str]
"""A count's grouping and key."""
Node = tuple[str, str]


Ends = tuple[Node, Node]
_ALL: Final[Count] = (ALL, "")
_FREE: Final[Node] = ("", "")
"""The second end of a count that belongs to one sum only."""


class Sum(NamedTuple):
    """A total and the counts that add up to it."""

    total: Count
    addends: Sequence[Count]


class Network:
    """The counts of one table, of which none is 0: a count of 0 needs no hiding and is left out."""

    def __init__(self, counts: Mapping[Count, int], ends: Mapping[Count, Ends], sums: Sequence[Sum]) -> None:
        self.counts, self.sums, self._ends = counts, sums, ends
        self._edges: dict[Node, list[Count]] = defaultdict(list)
        for edge, nodes in ends.items():
            for node in nodes:
                self._edges[node].append(edge)

    def computable(self, hidden: Collection[Count]) -> set[Count]:
        """Return the hidden counts that follow from the others: the bridges, found in one walk (R. Tarjan).

        >>> answers = {("all", ""): 13, ("queue", "billing"): 4, ("queue", "sales"): 9}
        >>> (network,) = networks(answers)
        >>> network.computable({("queue", "billing")})  # 13 - 9
        {('queue', 'billing')}
        >>> network.computable({("queue", "billing"), ("queue", "sales")})
        set()
        """
        found: set[Count] = set()
        seen: dict[Node, int] = {}
        for start in {node for edge in hidden for node in self._ends.get(edge, ())}:
            if start not in seen:
                self._walk(start, hidden, seen, found)
        return found

    def _walk(self, start: Node, hidden: Collection[Count], seen: dict[Node, int], found: set[Count]) -> None:
        """Add the bridges reachable from `start`. `visit_order` numbers nodes as they are first met; `low` is
        the smallest number that a node's subtree reaches."""
        low = {start: len(seen)}
        seen[start] = len(seen)
        stack: list[tuple[Node, Count | None, Iterable[Count]]] = [(start, None, iter(self._edges[start]))]
        while stack:
            node, came_by, edges = stack[-1]
            for edge in edges:
                if edge not in hidden or edge == came_by:
                    continue
                other = self._other(edge, node)
                if other in seen:
                    low[node] = min(low[node], seen[other])
                    continue
                low[other] = seen[other] = len(seen)
                stack.append((other, edge, iter(self._edges[other])))
                break
            else:
                stack.pop()
                if came_by is not None:
                    above = self._other(came_by, node)
                    low[above] = min(low[above], low[node])
                    if low[node] > seen[above]:
                        found.add(came_by)

    def way_round(self, edge: Count, hidden: Collection[Count]) -> list[Count]:
        """Return the other counts of the cheapest cycle through this edge; empty if there is none.

        The cost is the number of answers not hidden yet (E. Dijkstra). `all` is used only if it is hidden
        already: whether it is must not depend on which groupings are queried."""
        start, end = self._ends[edge]
        queue: list[tuple[int, Node, Count | None]] = [(0, start, None)]
        reached: dict[Node, Count | None] = {}
        while queue:
            cost, node, came_by = heappop(queue)
            if node in reached:
                continue
            reached[node] = came_by
            if node == end:
                return self._back(end, reached)
            for way in self._edges[node]:
                if way != edge and (way != _ALL or way in hidden):
                    more = 0 if way in hidden else self.counts[way]
                    heappush(queue, (cost + more, self._other(way, node), way))
        return []

    def _back(self, node: Node, reached: dict[Node, Count | None]) -> list[Count]:
        ways: list[Count] = []
        while (way := reached[node]) is not None:
            ways.append(way)
            node = self._other(way, node)
        return ways

    def _other(self, edge: Count, node: Node) -> Node:
        first, second = self._ends[edge]
        return second if node == first else first


def networks(counts: Mapping[Count, int]) -> list[Network]:
    """Return a network for every pair with its two dimensions, and for every other dimension."""
    groupings: dict[str, list[Count]] = defaultdict(list)
    for count in counts:
        groupings[count[0]].append(count)
    pairs = [by for by in groupings if "," in by]
    paired = {by for pair in pairs for by in pair.split(",")}
    alone = [by for by in groupings if by not in paired and by not in pairs and by != ALL]
    return [
        *(_table(pair, groupings, counts) for pair in pairs),
        *(_list(by, groupings, counts) for by in alone),
    ]


def _list(by: str, groupings: Mapping[str, Sequence[Count]], counts: Mapping[Count, int]) -> Network:
    in_it = [*groupings[by], *groupings.get(ALL, ())]
    return Network(counts, dict.fromkeys(in_it, (("sum", by), _FREE)), [Sum(_ALL, groupings[by])])


def _table(pair: str, groupings: Mapping[str, Sequence[Count]], counts: Mapping[Count, int]) -> Network:
    ends: dict[Count, Ends] = {}
    parts: dict[Count, list[Count]] = defaultdict(list)
    for count in groupings[pair]:
        first, second = zip(pair.split(","), key_parts(*count), strict=True)
        ends[count] = first, second
        parts[first].append(count)
        parts[second].append(count)
    first_by, second_by = pair.split(",")
    for by in (first_by, second_by):
        ends |= {count: (count, ("sum", by)) for count in groupings.get(by, ())}
    ends |= dict.fromkeys(groupings.get(ALL, ()), (("sum", first_by), ("sum", second_by)))
    sums = [Sum(total, addends) for total, addends in parts.items()]
    sums += [Sum(_ALL, groupings[by]) for by in (first_by, second_by) if by in groupings]
    return Network(counts, ends, sums)
