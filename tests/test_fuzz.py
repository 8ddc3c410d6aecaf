"""Altered files of every kind."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.reliability(
    input="Any file that the readers take, altered at random (`python tests/fuzz.py --count N`)",
    sees="Read and valid, or the documented error; no crash, no code run, bounded time and memory",
)
@pytest.mark.skipif(sys.platform != "linux", reason="the fuzzer measures memory in /proc")
def test_a_few_altered_files_of_every_kind_do_no_harm():
    pytest.importorskip("safetensors")  # one of the readers needs it
    fuzzer = Path(__file__).with_name("fuzz.py")
    # Ten seconds and not one, since this machine may be slow, and coverage be measured.
    command = [sys.executable, str(fuzzer), "--count", "300", "--seconds", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tried, refused, accepted, failed = map(int, done.stdout.split()[-4:])
    assert 270 <= tried == refused + accepted
    assert failed == 0
