"""Many runs of one seed: `python -m tests.worlds.campaign NAME RUNS [SEED]`, NAME one of the stories, or `all`.

For each story a line: the digest of every frame on every wire with its instant, how many runs had it, virtual seconds, frames, and
what a run takes. More than one digest for a story is a bug, and then it exits with 1.
"""

import collections
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.worlds.stories import STORIES, told


def main(name="all", runs="1", seed="7"):
    logging.disable()  # programs tell of what befalls them
    differ = False
    for story in STORIES if name == "all" else [name]:
        seen = collections.Counter()
        fastest = float("inf")
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(int(runs)):
                begin = time.process_time()
                outcome = told(story, Path(folder), int(seed))
                fastest = min(fastest, time.process_time() - begin)
                seen[outcome.digest, outcome.seconds, outcome.frames] += 1
        for (digest, seconds, frames), count in seen.items():
            print(f"{story:10} {digest} {count:5} runs, {seconds:.3f} s, {frames} frames, {fastest:.3f} s of processor", flush=True)
        differ = differ or len(seen) > 1
    return int(differ)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
