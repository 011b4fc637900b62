#!/usr/bin/env python3
"""Measures Oxigraph's own server beside Dossier: the same graph, the same point queries, in one run.

    pip install oxigraph==0.5.13
    benches/oxigraph_server.py [--quads 1000000] [--seconds 3]

Generates the seeded graph, loads it into Oxigraph's server (the official binary of the `oxigraph` package),
starts it on loopback, and runs `cargo bench --bench grpc` with its address. One client drives both servers.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS_MAX = 60


def main() -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--quads", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    binary = shutil.which("oxigraph")
    if binary is None:
        print("no `oxigraph` on the path: pip install oxigraph==0.5.13", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        graph, store = Path(folder, "graph.nq"), Path(folder, "store")
        with graph.open("wb") as out:
            generate = ["cargo", "run", "--release", "--quiet", "--example", "generate", "--"]
            subprocess.run([*generate, "--quads", str(arguments.quads)], cwd=ROOT, stdout=out, check=True)
        start = time.monotonic()
        subprocess.run([binary, "load", "--location", store, "--file", graph], check=True)
        print(f"Oxigraph's load: {arguments.quads / (time.monotonic() - start):.0f} quads/s", flush=True)
        address = f"127.0.0.1:{free_port()}"
        server = subprocess.Popen(
            [binary, "serve-read-only", "--location", store, "--bind", address], stderr=subprocess.DEVNULL
        )
        try:
            wait_for(address, server)
            bench = ["cargo", "bench", "--quiet", "--bench", "grpc", "--", "--oxigraph", address]
            bench += ["--quads", str(arguments.quads), "--seconds", str(arguments.seconds)]
            return subprocess.run(bench, cwd=ROOT, check=False).returncode
        finally:
            server.terminate()
            server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"Oxigraph's server does not answer on {address}")


if __name__ == "__main__":
    sys.exit(main())
