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
from streamer.readings.query import key_values

Count = tuple[str, str]
"""A count's grouping and key."""
Node = tuple[str, str]


Ends = tuple[Node, Node]
_ALL: Final[Count] = (ALL, "")
_FREE: Final[Node] = ("", "")
"""The second end of a count that belongs to one sum only."""


class SumEquation(NamedTuple):
    """A total and the counts that add up to it."""

    total: Count
    addends: Sequence[Count]


class CountNetwork:
    """The counts of one table, of which none is 0: a count of 0 needs no hiding and is left out."""

    def __init__(
        self, counts: Mapping[Count, int], ends: Mapping[Count, Ends], sums: Sequence[SumEquation]
    ) -> None:
        self.counts, self.sums, self._ends = counts, sums, ends
        self._edges: dict[Node, list[Count]] = defaultdict(list)
        for edge, nodes in ends.items():
            for node in nodes:
                self._edges[node].append(edge)

    def computable_counts(self, hidden: Collection[Count]) -> set[Count]:
        """Return the hidden counts that follow from the others: the bridges, found in one walk (R. Tarjan).

        >>> answers = {("all", ""): 13, ("queue", "billing"): 4, ("queue", "sales"): 9}
        >>> (network,) = count_networks(answers)
        >>> network.computable_counts({("queue", "billing")})  # 13 - 9
        {('queue', 'billing')}
        >>> network.computable_counts({("queue", "billing"), ("queue", "sales")})
        set()
        """
        bridges: set[Count] = set()
        visit_order: dict[Node, int] = {}
        for start in {node for edge in hidden for node in self._ends.get(edge, ())}:
            if start not in visit_order:
                self._find_bridges(start, hidden, visit_order, bridges)
        return bridges

    def _find_bridges(
        self, start: Node, hidden: Collection[Count], visit_order: dict[Node, int], bridges: set[Count]
    ) -> None:
        """Add the bridges reachable from `start`. `visit_order` numbers nodes as they are first met; `low` is
        the smallest number that a node's subtree reaches."""
        low = {start: len(visit_order)}
        visit_order[start] = len(visit_order)
        stack: list[tuple[Node, Count | None, Iterable[Count]]] = [(start, None, iter(self._edges[start]))]
        while stack:
            node, entry_edge, edges = stack[-1]
            for edge in edges:
                if edge not in hidden or edge == entry_edge:
                    continue
                other_node = self._other_end(edge, node)
                if other_node in visit_order:
                    low[node] = min(low[node], visit_order[other_node])
                    continue
                low[other_node] = visit_order[other_node] = len(visit_order)
                stack.append((other_node, edge, iter(self._edges[other_node])))
                break
            else:
                stack.pop()
                if entry_edge is not None:
                    parent = self._other_end(entry_edge, node)
                    low[parent] = min(low[parent], low[node])
                    if low[node] > visit_order[parent]:
                        bridges.add(entry_edge)

    def cheapest_cycle(self, edge: Count, hidden: Collection[Count]) -> list[Count]:
        """Return the other counts of the cheapest cycle through this edge; empty if there is none.

        The cost is the number of answers not hidden yet (E. Dijkstra). `all` is used only if it is hidden
        already: whether it is must not depend on which groupings are queried."""
        start, end = self._ends[edge]
        queue: list[tuple[int, Node, Count | None]] = [(0, start, None)]
        edge_into: dict[Node, Count | None] = {}
        while queue:
            cost, node, entry_edge = heappop(queue)
            if node in edge_into:
                continue
            edge_into[node] = entry_edge
            if node == end:
                return self._path_back(end, edge_into)
            for next_edge in self._edges[node]:
                if next_edge != edge and (next_edge != _ALL or next_edge in hidden):
                    step_cost = 0 if next_edge in hidden else self.counts[next_edge]
                    heappush(queue, (cost + step_cost, self._other_end(next_edge, node), next_edge))
        return []

    def _path_back(self, node: Node, edge_into: dict[Node, Count | None]) -> list[Count]:
        path: list[Count] = []
        while (entry_edge := edge_into[node]) is not None:
            path.append(entry_edge)
            node = self._other_end(entry_edge, node)
        return path

    def _other_end(self, edge: Count, node: Node) -> Node:
        first, second = self._ends[edge]
        return second if node == first else first


def count_networks(counts: Mapping[Count, int]) -> list[CountNetwork]:
    """Return a network for every pair with its two dimensions, and for every other dimension."""
    groupings: dict[str, list[Count]] = defaultdict(list)
    for count in counts:
        groupings[count[0]].append(count)
    pairs = [by for by in groupings if "," in by]
    paired = {by for pair in pairs for by in pair.split(",")}
    unpaired = [by for by in groupings if by not in paired and by not in pairs and by != ALL]
    return [
        *(_pair_network(pair, groupings, counts) for pair in pairs),
        *(_dimension_network(by, groupings, counts) for by in unpaired),
    ]


def _dimension_network(
    by: str, groupings: Mapping[str, Sequence[Count]], counts: Mapping[Count, int]
) -> CountNetwork:
    edges = [*groupings[by], *groupings.get(ALL, ())]
    return CountNetwork(
        counts, dict.fromkeys(edges, (("sum", by), _FREE)), [SumEquation(_ALL, groupings[by])]
    )


def _pair_network(
    pair: str, groupings: Mapping[str, Sequence[Count]], counts: Mapping[Count, int]
) -> CountNetwork:
    ends: dict[Count, Ends] = {}
    addends_of: dict[Count, list[Count]] = defaultdict(list)
    for count in groupings[pair]:
        first, second = zip(pair.split(","), key_values(*count), strict=True)
        ends[count] = first, second
        addends_of[first].append(count)
        addends_of[second].append(count)
    first_by, second_by = pair.split(",")
    for by in (first_by, second_by):
        ends |= {count: (count, ("sum", by)) for count in groupings.get(by, ())}
    ends |= dict.fromkeys(groupings.get(ALL, ()), (("sum", first_by), ("sum", second_by)))
    sums = [SumEquation(total, addends) for total, addends in addends_of.items()]
    sums += [SumEquation(_ALL, groupings[by]) for by in (first_by, second_by) if by in groupings]
    return CountNetwork(counts, ends, sums)
