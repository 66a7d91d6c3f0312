"""A network namespace for a test, and how this machine lets us make one."""

import os
import subprocess


def namespace_command() -> list[str]:
    """The command that runs another in a network namespace of its own: as root, or rootless in a user namespace too."""
    return ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


class Namespace:
    """A network namespace that lives as long as the test. `prefix` runs a command inside it."""

    def __init__(self) -> None:
        # the holder ends with this process, whatever ends it: its standard input is our pipe
        self.holder = subprocess.Popen(
            [*namespace_command(), "sh", "-c", "ip link set lo up && echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "ready\n", "the namespace did not come up"
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        self.prefix = ["nsenter", "--target", str(self.holder.pid), *user, "--net", "--"]

    def run(self, *command: str, timeout: float = 30, check: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run a command inside, and wait for it."""
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, timeout=timeout, check=check)

    def start(self, *command: str, **options: object) -> "subprocess.Popen[str]":
        """Start a command inside. The caller ends it."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen([*self.prefix, *command], **pipes)  # type: ignore[call-overload,no-any-return]  # options vary

    def close(self) -> None:
        self.holder.communicate()
