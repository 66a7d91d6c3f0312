"""A PostgreSQL of the test's own: made, served and thrown away in a temporary folder, in the namespace of whoever starts it."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

USER = "postgres"
PASSWORD = "secret"


def programs() -> Path:
    """The folder of `initdb` and `postgres`; Debian keeps it out of the PATH."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    if not found and (there := shutil.which("initdb")):
        found = [os.path.realpath(there)]
    if not found:
        pytest.skip("postgresql is not installed: make tools, or install postgresql")
    return Path(found[-1]).parent


@contextlib.contextmanager
def database() -> Iterator[Path]:
    """An empty cluster, made once for all cells. PostgreSQL refuses root, so it runs as the user that its package made."""
    there = programs()
    try:
        account = pwd.getpwnam(USER)
    except KeyError:
        pytest.skip("there is no user postgres to run PostgreSQL as: make tools, or install postgresql")
    with tempfile.TemporaryDirectory(prefix="netstack-postgres-") as name:
        folder = Path(name)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        for path in (folder, secret):
            os.chown(path, account.pw_uid, account.pw_gid)
        options = ["--no-sync", "--no-instructions", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", f"--pwfile={secret}"]
        command = [there / "initdb", "-D", folder / "data", *options]
        done = subprocess.run(command, user=USER, group=account.pw_gid, extra_groups=[], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with open(folder / "data" / "pg_hba.conf", "a") as rules:
            rules.write("host all all 0.0.0.0/0 scram-sha-256\n")
        yield folder


@contextlib.contextmanager
def serving(folder: Path, host: str, port: int, certificate: Path | None = None) -> Iterator[None]:
    """Serve the cluster on the kernel's `host`, until the block ends. Gives when it takes connections."""
    there = programs()
    account = pwd.getpwnam(USER)
    settings = {
        "listen_addresses": host,
        "port": port,
        "unix_socket_directories": folder,
        "fsync": "off",
        "shared_buffers": "4MB",
        "max_connections": 10,
        "max_worker_processes": 0,
        "max_wal_senders": 0,
        "wal_level": "minimal",
        "autovacuum": "off",
        "logging_collector": "off",
    }
    if certificate is not None:
        settings |= {"ssl": "on", "ssl_cert_file": certificate / "chain.pem", "ssl_key_file": certificate / "key.pem"}
    command: list[str | Path] = [there / "postgres", "-D", folder / "data"]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    log = folder / "log"
    with open(log, "w") as output:
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        postgres = subprocess.Popen(command, user=USER, group=account.pw_gid, extra_groups=[], cwd=folder, **streams)
    try:
        ready = [there / "pg_isready", "-q", "-h", folder, "-p", str(port)]
        for _ in range(100):
            assert postgres.poll() is None, log.read_text()
            if subprocess.run(ready).returncode == 0:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                postgres.wait(0.05)
        else:
            raise AssertionError(f"PostgreSQL did not come up: {log.read_text()}")
        yield
    finally:
        postgres.send_signal(3)  # SIGQUIT: immediate shutdown; nothing here is worth a checkpoint
        postgres.wait(20)
