"""The command line `eiclip`: what the library has (`search`), and `status`, which knows the pipeline's outputs."""

import argparse
from collections.abc import Sequence

from eiclip.search.cli import command_line, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser, commands = command_line()
    status = commands.add_parser("status", help="each output: made, reused, or stale, and why")
    status.add_argument("dataset", nargs="?", help="of this dataset alone")
    status.add_argument("--stale", action="store_true", help="only what the next run would make")
    status.set_defaults(command=_status, parser=status)
    return run(parser, commands, arguments)


def _status(given: argparse.Namespace) -> None:
    from pipelines.status import print_status

    print_status(given.dataset, only_stale=given.stale)
