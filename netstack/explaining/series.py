"""Points of a diagram, thinned as they come: a file of any length makes a picture of bounded size, and takes bounded memory."""

RUNS = 8192  # lines of data in a diagram: eight for each pixel of a wide one
POINTS = 4096  # of a curve
MARKS = 4000  # things marked one by one; the rest are counted


class Runs:
    """Lines from (t0, a) to (t1, b): what was sent. Neighbours become one when there are too many."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, int, int, int]] = []

    def add(self, t: int, a: int, b: int) -> None:
        self.lines.append((t, a, t, b))
        if len(self.lines) > RUNS:
            old = self.lines
            self.lines = [(x[0], min(x[1], y[1]), y[2], max(x[3], y[3])) for x, y in zip(old[::2], old[1::2], strict=False)]
            if len(old) % 2:
                self.lines.append(old[-1])


class Curve:
    """(t, lowest, highest): of neighbours that become one both extremes are kept."""

    def __init__(self) -> None:
        self.points: list[tuple[int, int, int]] = []

    def add(self, t: int, value: int) -> None:
        self.points.append((t, value, value))
        if len(self.points) > POINTS:
            old = self.points
            self.points = [(x[0], min(x[1], y[1]), max(x[2], y[2])) for x, y in zip(old[::2], old[1::2], strict=False)]
            if len(old) % 2:
                self.points.append(old[-1])


class Steps:
    """(t, value), a line that stays until the next: of neighbours the later is kept."""

    def __init__(self) -> None:
        self.points: list[tuple[int, int]] = []

    def add(self, t: int, value: int) -> None:
        points = self.points
        if points and points[-1][1] == value:
            return
        points.append((t, value))
        if len(points) > POINTS:
            self.points = points[:1] + points[2::2] if len(points) % 2 else points[1::2]


class Marks:
    """Things that are marked where they are: (t, a, b, what, number of the packet)."""

    def __init__(self) -> None:
        self.all: list[tuple[int, int, int, str, int]] = []
        self.count: dict[str, int] = {}

    def add(self, t: int, a: int, b: int, what: str, number: int) -> None:
        self.count[what] = self.count.get(what, 0) + 1
        if len(self.all) < MARKS:
            self.all.append((t, a, b, what, number))

    def numbers(self, what: str, most: int = 3) -> list[int]:
        """Packets of the first of this kind."""
        found = []
        for mark in self.all:
            if mark[3] == what:
                found.append(mark[4])
                if len(found) == most:
                    break
        return found
