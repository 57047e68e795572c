"""Do others measure what a recording says? `python -m tests.bench.agreement [clients] [mlx_lm]`, when idle.

Clients of another make, the `openai` package and curl, time answers of the demo model by `exo-tui serve`; the
recording of the same answers must say the same within 5 %. So must `mlx_lm` in one process and a suite on a
single device, of its packed weights: what ranks make of float32 ones on a CPU is faster than in mlx_lm.
"""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai

from core import config
from core.bench.metrics import DECODE, PREFILL, TTFT, Metric, Trial
from core.bench.report import report
from core.models import demo
from core.session.format import read

PROGRAM = Path(sys.executable).with_name("exo-tui")
WITHIN = 0.05
TIMES, TURNS, TOKENS = 3, 5, 32
ANSWERS = 9
"""Of each client: a first token takes 0.2 s with OpenBLAS, and one disturbed answer in three would decide."""
PROMPT = 64
"""Long enough that the step mlx_lm has begun when it gives its first token is little beside it."""
QUESTION = "The {} package was asked for the {}th time why the sea is blue and the sky is blue too. It said:"


def by_openai(url: str, model: str, prompt: str) -> list[float]:
    """When each piece of an answer came, in seconds since it was asked for."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    began = time.perf_counter()
    stream = client.completions.create(
        model=model, prompt=prompt, max_tokens=TOKENS, stream=True, extra_body={"ignore_eos": True}
    )
    return [
        time.perf_counter() - began
        for chunk in stream
        if chunk.choices and not chunk.choices[0].finish_reason
    ]


def by_curl(url: str, model: str, prompt: str) -> list[float]:
    """The same, of what curl prints. It was asked when curl says that it began: a process takes 10 ms to be
    one, which nothing that is already running takes."""
    asked = {"model": model, "prompt": prompt, "max_tokens": TOKENS, "stream": True, "ignore_eos": True}
    at: list[float] = []
    began = 0.0
    with subprocess.Popen(
        ["curl", "-sN", f"{url}/v1/completions", "--json", json.dumps(asked), "-w", "took: %{time_total}"],
        stdout=subprocess.PIPE,
        text=True,
    ) as curl:
        assert curl.stdout is not None
        for line in curl.stdout:
            now = time.perf_counter()
            if line.startswith("data: {") and not json.loads(line[6:])["choices"][0]["finish_reason"]:
                at.append(now)
            elif line.startswith("took: "):
                began = now - float(line[6:])
    return [moment - began for moment in at]


def told(name: str, theirs: list[float], ours: list[float]) -> bool:
    """Print the middle of both, and whether they agree: pair by pair, as the machine's speed drifts,
    and as now and then an answer's first token is no text yet, which a client cannot see."""
    off = statistics.median(one / other for one, other in zip(ours, theirs, strict=True)) - 1
    print(f"  {name:32} {statistics.median(theirs):10.4f} {statistics.median(ours):10.4f} {off:+7.1%}")
    return abs(off) <= WITHIN


def clients(folder: Path) -> Iterator[bool]:
    """Clients against the recording of `serve`. A random model's tokens are seldom whole characters, without
    which a client gets nothing: this asks one that writes words."""
    model = asyncio.run(demo.ensure(config.load().cache, print))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    file = folder / "serve.exo"
    argv = [
        str(PROGRAM),
        "serve",
        str(model),
        "--demo-devices",
        "2",
        "--port",
        str(port),
        "--record",
        str(file),
    ]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as serve:
        assert serve.stderr is not None
        for line in serve.stderr:
            if "is served at" in line:
                break
        url = f"http://127.0.0.1:{port}"
        ways: dict[str, Callable[[str, str, str], list[float]]] = {"openai": by_openai, "curl": by_curl}
        seen = {
            name: [way(url, model.name, QUESTION.format(name, i)) for i in range(ANSWERS + 1)][1:]
            for name, way in ways.items()
        }
        serve.terminate()
        serve.wait(timeout=30)
    trials = report(read(file), file.name).trials
    for i, (name, answers) in enumerate(seen.items()):
        own = trials[i * (ANSWERS + 1) + 1 : (i + 1) * (ANSWERS + 1)]
        ttft = [times[0] for times in answers]
        # Not every token ends a character: a piece of text may be of several.
        rate = [(TOKENS - 1) / (times[-1] - times[0]) for times in answers]
        yield told(f"{name}: TTFT, s", ttft, [_value(TTFT, trial) for trial in own])
        yield told(f"{name}: decode, tok/s", rate, [_value(DECODE, trial) for trial in own])


def mlx_lm(folder: Path) -> Iterator[bool]:
    """mlx_lm by itself, and a suite on one device, in turn so that both meet the same machine."""
    model = asyncio.run(demo.ensure(config.load().cache, print))
    suite = folder / "single.toml"
    suite.write_text(
        f'name = "single"\nprompt = [{PROMPT}]\ngenerate = [{TOKENS}]\n'
        f"repeats = {{ least = {TIMES}, most = {TIMES}, seconds = 0 }}\nwarm_s = 0\n"
    )
    script = Path(__file__).with_name("one_mlx_lm.py")
    theirs: list[dict[str, float]] = []
    ours: list[list[Trial]] = []
    for turn in range(TURNS):
        alone = subprocess.run(
            [sys.executable, script, model, "alone", str(PROMPT), str(TOKENS), str(TIMES)],
            stdout=subprocess.PIPE,
            check=True,
        )
        theirs.append(json.loads(alone.stdout))
        file = folder / f"single{turn}.exo"
        argv = [PROGRAM, "bench", suite, model, "--demo-devices", "1", "--no-dequantise", "--out", file]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ours.append([trial for trial in report(read(file), file.name).trials if not trial.warmup])
    for metric, key in ((DECODE, "decode_tps"), (PREFILL, "prefill_tps")):
        middles = [statistics.median(_value(metric, trial) for trial in trials) for trials in ours]
        yield told(f"mlx_lm: {metric.title}, {metric.unit}", [one[key] for one in theirs], middles)


def _value(metric: Metric, trial: Trial) -> float:
    value = metric.of(trial)
    assert value is not None, f"{metric.title} of {trial} is not known"
    return value


def main() -> int:
    """Print what both say; 1 where anything is further off than `WITHIN`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"  {'':32} {'theirs':>10} {'ours':>10}")
        ways = {"clients": clients, "mlx_lm": mlx_lm}
        agreed = [good for way in sys.argv[1:] or ways for good in ways[way](folder)]
    return 0 if all(agreed) else 1


if __name__ == "__main__":
    sys.exit(main())
