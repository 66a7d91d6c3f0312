"""What the hostile ends have in common: dice, and texts that are no numbers."""

from netstack.signatures import Rng

from ..hypervisor import Store

TEXTS = (
    "",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "nonsense",
    "\udcff\udc00",
    "1 ",
    " 1",
    "1x",
    "0x10",
    "1.5",
    "4294967296",
    "9" * 30,
    "x" * 1500,
)
EDGES = (0, 1, 13, 14, 255, 256, 257, 4095, 4096, 4097, 0x7FFF, 0x8000, 0xFFFF)


class Liar:
    """`rate` is the chance of a lie where there is an occasion."""

    def __init__(self, rng: Rng, rate: float) -> None:
        self.rng = rng
        self.rate = rate
        self.lies: dict[str, int] = {}

    def number(self, below: int) -> int:
        return self.rng.getrandbits(30) % below

    def happens(self, chance: float) -> bool:
        return self.rng.getrandbits(20) < chance * (1 << 20)

    def lie(self, name: str) -> bool:
        """Now? If so, it's counted by its name."""
        if not self.happens(self.rate):
            return False
        self.lies[name] = self.lies.get(name, 0) + 1
        return True

    def short(self) -> int:
        """A number of 16 bits, often one at an edge."""
        return EDGES[self.number(len(EDGES))] if self.happens(0.5) else self.rng.getrandbits(16)

    def text(self) -> str:
        return TEXTS[self.number(len(TEXTS))]

    def scribble(self, memory: memoryview) -> None:
        """Random bytes somewhere."""
        at = self.number(len(memory) - 8)
        memory[at : at + 8] = self.rng.getrandbits(64).to_bytes(8, "little")

    def write_nonsense(self, store: Store, folder: str, names: "tuple[str, ...]") -> None:
        path = f"{folder}/{names[self.number(len(names))]}"
        if self.happens(0.3):
            store.remove(path)
        else:
            store.write(path, self.text())
