"""How many instructions a tick takes, beside the reader in C: machines are noisy, and these are not.

Counted by callgrind, without those of the kernel.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from cgroups import c_reader, live_cgroups
from figures import Effort, Figure, Subject
from sampling import ticking

COUNT = 100
TICKS = 10
WARM_UP_TICKS = 12
VALGRIND = ("valgrind", "--tool=callgrind", "--dump-before=getpriority")
"""It writes what it has counted where a function is called that neither program calls otherwise, and begins anew."""
KINDS = {"all": "all changing", "some": "10% changing", "idle": "idle"}


def measure(effort: Effort) -> list[Figure]:
    if not shutil.which(VALGRIND[0]):
        return [Figure("valgrind: not installed", None, "")]
    count = min(COUNT, effort.containers)
    with live_cgroups(count) as live, tempfile.TemporaryDirectory() as folder, ticking() as sampler:
        changing = {"all": count, "some": count // 10, "idle": 0}
        ours = Path(folder, "ours")
        command = [*VALGRIND, f"--callgrind-out-file={ours}", sys.executable, __file__]
        program = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        theirs = Path(folder, "theirs")
        with program, c_reader(sampler.files(live.paths), *VALGRIND, f"--callgrind-out-file={theirs}") as reader:
            assert program.stdin is not None
            assert program.stdout is not None

            def tell(word: str) -> None:
                program.stdin.write(f"{word}\n")
                program.stdin.flush()
                program.stdout.readline()

            for _ in range(WARM_UP_TICKS):
                live.run(count)
                tell("tick")
            for kind in KINDS:
                # What changed before this series is still told of in its first ticks.
                for round_ in range(-2, TICKS):
                    live.run(changing[kind])
                    if round_ == 0:
                        tell("mark")
                        reader.mark()
                    tell("tick")
                    live.run(changing[kind])
                    if round_ >= 0:
                        reader.read()
                tell("mark")
                reader.mark()
            program.stdin.close()
        return [
            Figure(
                f"instructions of a tick, {count} containers, {words}",
                one / TICKS / 1e6,
                "million",
                "the reader in C, all files",
                other / TICKS / 1e6,
                one / other,
            )
            for words, one, other in zip(KINDS.values(), _parts(ours), _parts(theirs), strict=True)
        ]


def _parts(file: Path) -> list[int]:
    """Instructions of each part, in the order of time."""
    # A part before each, and the rest.
    texts = [file.with_name(f"{file.name}.{2 * number}").read_text() for number in range(1, len(KINDS) + 1)]
    return [int(found[1]) for text in texts if (found := re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE))]


def tick_when_told() -> None:
    """Tick for each line of standard input, under callgrind."""
    with ticking() as sampler:
        for line in sys.stdin:
            if line == "mark\n":
                os.getpriority(os.PRIO_PROCESS, 0)
            else:
                sampler.tick()
            print("done", flush=True)


INSTRUCTIONS = Subject(
    "Instructions",
    """The same ticks and the same reader under `valgrind --tool=callgrind`, with fewer containers, since they are slow
there. What the kernel does for them is not counted: for the reader in C that is nearly all of its time, so these ratios
are not those of the times; they are for comparing one version of topcon with another.""",
    measure,
)

if __name__ == "__main__":
    tick_when_told()
