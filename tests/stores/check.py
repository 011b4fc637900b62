"""Backs up to object stores of other makers, and restores: moto speaks S3, here over TLS, and Azurite Azure.

    DOSSIER_BIN=… python check.py --azurite node_modules/.bin/azurite-blob

Each store runs on the loopback interface. Two servers that back up to one place are tried, and credentials
that are wrong, a bucket that is missing, and a store that is gone; nothing that is said may have a secret in
it. What is not run is said.
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

BINARY = os.environ["DOSSIER_BIN"]
# Long enough for what is repeated until it ends: docs/back-up-and-restore.md.
TIMEOUT_S = 90
BUCKET = "dossier-check"
ALL = "SELECT ?s ?p ?o WHERE { ?s ?p ?o } ORDER BY ?s ?p ?o"
# Not a secret: everybody's Azurite has it.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
S3_SECRET = "wJalrXUtnFEMIsecret"
# What other programs of this machine are told must not reach a store of the check.
FOREIGN = re.compile(r"^(AWS|AZURE|GOOGLE)_|^(HTTPS?|ALL)_PROXY$|^SSL_CERT_FILE$|^DOSSIER_", re.IGNORECASE)
ENVIRONMENT = {key: value for key, value in os.environ.items() if not FOREIGN.match(key)}

STARTED: list[subprocess.Popen] = []


@dataclass
class Store:
    """What is known of a store: how to say where in it, and what to tell the environment."""

    name: str
    scheme: str
    environment: dict[str, str]
    # As this, but with other credentials. None: the store takes all.
    wrong: dict[str, str] | None
    secret: str
    endpoint: str
    process: subprocess.Popen

    def place(self, prefix: str, bucket: str = BUCKET) -> str:
        return f"{self.scheme}://{bucket}/{prefix}"


class Server:
    """A server of its own process. What it says is kept."""

    def __init__(self, data: Path, environment: dict[str, str], *flags: str) -> None:
        self.log_file = data.with_suffix(".log")
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        self.environment = environment
        command = [BINARY, "serve", "--listen", address, "--data-dir", str(data), "--no-shipped-data", *flags]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        STARTED.append(self.process)
        wait_for(lambda: self.process.poll() is not None or self.run("health").returncode == 0, self.url)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.environment, *arguments, "--server", self.url)

    def ask(self) -> str:
        return succeeded(self.run("query", ALL, "--output", "csv"))

    def insert(self, text: str) -> None:
        succeeded(self.run("update", f"INSERT DATA {{ e:a rdfs:label '{text}' }}"))

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=TIMEOUT_S) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def stop(self) -> str:
        self.process.terminate()
        self.process.wait(TIMEOUT_S)
        return self.log_file.read_text()


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [BINARY, *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done
    return done.stdout


def failed(done: subprocess.CompletedProcess[str], said: str, store: Store) -> None:
    assert done.returncode != 0 and said in done.stderr, (said, done)
    keeps_secrets(done.stdout + done.stderr, store)


def keeps_secrets(said: str, store: Store) -> None:
    for secret in (store.secret, KEY, S3_SECRET, store.endpoint):
        assert secret not in said, said


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(is_there: callable, what: str) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not is_there():
        assert time.monotonic() < end, f"{what} is not there"
        time.sleep(0.05)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


# ---- what every store is put through ----
def goes_round(store: Store, work: Path) -> None:
    """Two backups, listed and verified with the server and without it, and each restored."""
    place = store.place("a/prefix of its own/%23")
    server = Server(work / "data", store.environment, "--backup-to", place)
    failed(server.run("backup", "verify"), "error[BACKUP_NOT_FOUND]", store)
    server.insert("one")
    succeeded(server.run("backup"))
    earlier = server.ask()
    # More than one file of 16 MiB.
    noise = [base64.b64encode(os.urandom(3072)).decode() for _ in range(8192)]
    rows = [f'<http://e/{number}> <http://e/p> "{text}" .\n' for number, text in enumerate(noise)]
    document = work / "noise.nt"
    document.write_text("".join(rows))
    succeeded(server.run("load", str(document)))
    later = server.ask()
    told = succeeded(server.run("backup"))
    assert "in 2 files" in told, told
    assert "nothing was committed" in succeeded(server.run("backup"))
    for way in ([], ["--from", place]):
        assert succeeded(server.run("backup", "list", *way)).count(" to ") == 2
        told = succeeded(server.run("backup", "verify", *way))
        assert "2 backups, 2 revisions" in told, told
    for revision, expected in [("1", earlier), ("2", later)]:
        data = work / f"restored {revision}"
        restore = ["restore", "--from", place, "--data-dir", str(data), "--revision", revision]
        succeeded(run(store.environment, *restore))
        restored = Server(data, store.environment)
        assert restored.ask() == expected
        restored.stop()
    said = server.stop()
    assert "backed up" in said, said
    keeps_secrets(said, store)


def is_made_by_the_clock(store: Store, work: Path) -> None:
    place = store.place("by-the-clock")
    server = Server(work / "data", store.environment)
    server.insert("one")
    server.stop()
    server = Server(work / "data", store.environment, "--backup-to", place, "--backup-every", "1h")
    wait_for(lambda: server.metric("dossier_backup_revision") == 1, "the backup")
    server.stop()
    # The next server knows of it.
    server = Server(work / "data", store.environment, "--backup-to", place, "--backup-every", "1h")
    wait_for(lambda: server.metric("dossier_backup_revision") == 1, "the backup of before")
    assert succeeded(server.run("backup", "list")).count(" to ") == 1
    server.stop()


def one_of_two_stands(store: Store, work: Path) -> None:
    """Two servers with one place by mistake, at the same time, again and again."""
    for attempt in range(4):
        place = store.place(f"shared/{attempt}")
        servers = [
            Server(work / f"{attempt}-{name}", store.environment, "--backup-to", place) for name in ("a", "b")
        ]
        for number, server in enumerate(servers):
            server.insert(f"of server {number}")
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda server: server.run("backup"), servers))
        assert sorted(one.returncode for one in done) == [0, 1], done
        loser = next(one for one in done if one.returncode)
        assert re.search(r"error\[BACKUP_(OVERTAKEN|OTHER_HISTORY)\]", loser.stderr), loser
        told = succeeded(run(store.environment, "backup", "verify", "--from", place))
        assert "1 backups, 1 revisions" in told, told
        for server in servers:
            server.stop()
        if "OVERTAKEN" in loser.stderr:
            return
    print(f"NOT RUN: {store.name}: the two backups were never at the same time")


def says_what_is_wrong(store: Store, work: Path) -> None:
    missing = store.place("prefix", "no-such-bucket")
    failed(run(store.environment, "backup", "list", "--from", missing), "404", store)
    if store.wrong is None:
        print(f"NOT RUN: {store.name}: it takes all credentials")
    else:
        listed = run(store.wrong, "backup", "list", "--from", store.place("prefix"))
        failed(listed, "403 (AuthorizationFailure)", store)
    if "SSL_CERT_FILE" in store.environment:
        untrusting = {key: value for key, value in store.environment.items() if key != "SSL_CERT_FILE"}
        failed(run(untrusting, "backup", "list", "--from", store.place("prefix")), "TLS", store)


def ends_without_it(store: Store, work: Path) -> None:
    """The store goes away, for the server as for the clock."""
    server = Server(work / "data", store.environment, "--backup-to", store.place("gone"))
    server.insert("one")
    store.process.terminate()
    store.process.wait(TIMEOUT_S)
    start = time.monotonic()
    failed(server.run("backup"), "error[BACKUP_UNREACHABLE]", store)
    assert time.monotonic() - start < 60
    assert server.metric("dossier_backup_failures_total") == 1
    said = server.stop()
    assert "the backup failed" in said, said
    keeps_secrets(said, store)


CHECKS = (goes_round, is_made_by_the_clock, one_of_two_stands, says_what_is_wrong, ends_without_it)


# ---- the stores ----
@contextlib.contextmanager
def s3(work: Path) -> Iterator[Store]:
    certificate, key = work / "cert.pem", work / "key.pem"
    make = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    more = ["-addext", "basicConstraints=critical,CA:false", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *make.split(), *more], check=True, capture_output=True, timeout=TIMEOUT_S)
    port = free_port()
    moto = Path(sys.executable).with_name("moto_server")
    command = [moto, "-H", "127.0.0.1", "-p", str(port), "-c", certificate, "-k", key]
    with running(command, port, work / "moto.log") as process:
        endpoint = f"https://127.0.0.1:{port}"
        environment = ENVIRONMENT | {
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": S3_SECRET,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "SSL_CERT_FILE": str(certificate),
        }
        request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
        trusting = ssl.create_default_context(cafile=str(certificate))
        urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trusting).close()
        yield Store("S3 (moto)", "s3", environment, None, S3_SECRET, endpoint, process)


@contextlib.contextmanager
def azure(work: Path, azurite: Path) -> Iterator[Store]:
    port = free_port()
    command = [azurite, "--silent", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"]
    with running(command, port, work / "azurite.log") as process:
        endpoint = f"http://127.0.0.1:{port}"
        environment = ENVIRONMENT | {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": f"{endpoint}/{ACCOUNT}",
            "AZURE_ALLOW_HTTP": "true",
        }
        make_container(endpoint)
        wrong = base64.b64encode(b"another key than the account has").decode()
        yield Store(
            "Azure (Azurite)",
            "az",
            environment,
            environment | {"AZURE_STORAGE_ACCOUNT_KEY": wrong},
            wrong,
            endpoint,
            process,
        )


def make_container(endpoint: str) -> None:
    """Signs with the account's key, as "Authorize with Shared Key" of Azure's documentation has it."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
    resource = f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    signed = "PUT" + "\n" * 12 + "".join(f"{key}:{value}\n" for key, value in headers.items()) + resource
    signature = hmac.digest(base64.b64decode(KEY), signed.encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
    headers["Content-Length"] = "0"
    url = f"{endpoint}/{ACCOUNT}/{BUCKET}?restype=container"
    request = urllib.request.Request(url, method="PUT", headers=headers)
    urllib.request.urlopen(request, timeout=TIMEOUT_S).close()


@contextlib.contextmanager
def running(command: list[str | Path], port: int, log: Path) -> Iterator[subprocess.Popen]:
    command = [str(part) for part in command]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=ENVIRONMENT)
    try:
        wait_for(lambda: process.poll() is not None or listens(port), str(command[0]))
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--azurite", type=Path, required=True)
    azurite = parser.parse_args().azurite
    count = 0
    with tempfile.TemporaryDirectory(prefix="dossier-stores.") as folder, contextlib.ExitStack() as ends:
        ends.callback(lambda: [process.kill() for process in STARTED])
        for number, open_store in enumerate([s3, lambda work: azure(work, azurite)]):
            work = Path(folder) / str(number)
            work.mkdir()
            with open_store(work) as store:
                for check in CHECKS:
                    start = time.monotonic()
                    (work / check.__name__).mkdir()
                    check(store, work / check.__name__)
                    count += 1
                    print(f"{store.name}: {check.__name__}, {time.monotonic() - start:.1f} s", flush=True)
    print("NOT RUN: Google Cloud Storage: the emulators of the registries lack the PUT of its XML API")
    print(f"{count} passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
