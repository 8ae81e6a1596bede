"""Real processes of the commands that start in a moment: one process imports everything and forks for each command.

Run as a program it is that process: it reads an order a line from its standard input (JSON), forks, and in the child
runs the command's `main` as `python -m` would. Of each child it tells the process id at its start and the exit code at
its end.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.commands import ROOT, environment

LIMIT = 120  # seconds; a command that takes longer hangs


class Processes:
    """Starts commands by forking; use as a context manager."""

    def __enter__(self) -> "Processes":
        self.parent = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.processes"], cwd=ROOT, env=environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self.parent.stdin.close()
        self.parent.wait(LIMIT)
        self.parent.stdout.close()

    def start(self, *arguments: str, cwd: Path, command: str = "train", **options: Any) -> int:
        """Start a command in `cwd` and return its process id; its output goes to `cwd`/output.

        Args:
            arguments: of the command line.
            cwd: working directory.
            command: its name.
            options: `rename`: kill itself at the so many-th rename, `after` it if that is true, or before it;
                `file_size`: no file may become larger (bytes); `figures`: draw them, which takes most of a short run.
        """
        order = {"arguments": arguments, "cwd": str(cwd), "command": command, **options}
        self.parent.stdin.write(json.dumps(order) + "\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())

    def wait(self, pid: int) -> int:
        """Wait for a command to end: its exit code, or minus the signal that ended it."""
        self.parent.stdin.write(json.dumps({"wait": pid}) + "\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())

    def run(self, *arguments: str, cwd: Path, **options: Any) -> int:
        """Run a command to its end; see `start`."""
        return self.wait(self.start(*arguments, cwd=cwd, **options))


def kill_at(count: int, after: bool) -> None:
    """Let this process kill itself at its `count`-th rename."""
    replace, seen = os.replace, [0]

    def counting(*paths: Any) -> None:
        seen[0] += 1
        if seen[0] == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)
        if seen[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = counting


def child(order: dict[str, Any], main: Any) -> None:
    """Be the command: never returns."""
    os.chdir(order["cwd"])
    os.setsid()
    output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in ((0, null), (1, output), (2, output)):
        os.dup2(descriptor, number)
    if "file_size" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"], order["file_size"]))
    if not order.get("figures", False):
        import lstm_ae.figures.run

        lstm_ae.figures.run.draw_run = lambda *_: []
    if "rename" in order:
        kill_at(order["rename"], order.get("after", False))
    sys.argv = [f"lstm_ae.{order['command']}", *order["arguments"]]
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code or 0)


def serve() -> None:
    """Read orders and fork, until the input ends."""
    import faulthandler

    import sklearn.decomposition
    import sklearn.linear_model  # noqa: F401
    import torch

    import lstm_ae.evaluation.measure
    import lstm_ae.figures.run  # noqa: F401
    from lstm_ae import compare, evaluate, train

    torch.set_num_threads(1)
    faulthandler.enable()
    mains = {"train": train.main, "evaluate": evaluate.main, "compare": compare.main}
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            child(order, mains[order["command"]])
        print(pid, flush=True)


if __name__ == "__main__":
    serve()
