"""Whatever may be sent to a route or lie in a file of ours: for as long as is asked, with another seed each round.

python bench/fuzz.py --minutes 30
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from random import SystemRandom

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--examples", type=int, default=500, help="for each test in each round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    environment = {**os.environ, "FUZZ_EXAMPLES": str(options.examples)}
    command = [sys.executable, "-m", "pytest", "tests/fuzz", "-q", "--show-capture=no", "--tb=short"]
    began, rounds, failing = time.monotonic(), 0, 0
    while time.monotonic() - began < options.minutes * 60 and not failing:
        seed = SystemRandom().randrange(2**32)
        print(f"round {rounds + 1}, seed {seed}", flush=True)
        done = subprocess.run([*command, f"--hypothesis-seed={seed}"], cwd=ROOT, env=environment, check=False)
        rounds += 1
        failing = int(done.returncode != 0)
    minutes = (time.monotonic() - began) / 60
    print(f"{rounds} rounds in {minutes:.1f} minutes: " + ("a finding, above" if failing else "nothing found"))
    if options.json:
        options.json.write_text(json.dumps({"minutes": minutes, "rounds": rounds, "findings": failing}) + "\n", "utf-8")
    return failing


if __name__ == "__main__":
    sys.exit(main())
