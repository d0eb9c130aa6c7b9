"""One share of a run: the whole of it in this process, or a part in one of several.

What a share reports on its way goes out as messages, since it may be far away.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cli_client.engine.run import Run
from cli_client.ledger.file import LedgerFile
from cli_client.ledger.result import Result
from cli_client.ledger.timeline import Standing
from cli_client.settings import Settings
from cli_client.share import Share
from cli_client.spread.output import Output

__all__ = ["Message", "OnMessage", "run_alone", "run_share"]


@dataclass(frozen=True)
class Message:
    """What a share reports: where it runs, that it begins and how far it is."""

    share: int
    place: str
    """The process id, or the address of the worker."""
    standing: Standing | None = None
    """None at the beginning."""
    sent_at: float = field(default_factory=time.perf_counter)
    """By the monotonic clock of the place."""


OnMessage = Callable[[Message], bool]
"""Passes a message on, and returns whether the share is to go on."""


def run_share(
    settings: Settings, share: Share, output: Output, on_message: OnMessage, place: str
) -> Result:
    """Do one share of a run.

    A file that cannot be written costs its content, not the result: ``unwritten`` names it. A run
    whose responses nobody reads any more ends early, and one whose first connection does not open
    has a result too.

    Raises:
        RunError: If it cannot begin.
        OSError: If the ledger cannot be opened.
    """
    on_message(Message(share.index, place))

    def watch(standing: Standing) -> bool:
        return on_message(Message(share.index, place, standing)) and not output.reader_is_gone

    ledger_file = LedgerFile.create(settings.ledger, share)
    note = None if ledger_file is None else ledger_file.note
    try:
        run = Run(settings, output.show, watch, share, note)
        output.go_on = run.goes_on
        output.is_out_of_time = run.is_out_of_time
        result = run()
    finally:
        if ledger_file is not None:
            ledger_file.close()
    for file in (ledger_file, output):
        if file is not None and file.trouble:
            result.unwritten.append(file.trouble)
    return result


def run_alone(settings: Settings, quiet: bool, show: Callable[[Standing], None]) -> Result:
    """Do a run in this process.

    Raises:
        RunError: If it cannot begin.
        OSError: If the ledger cannot be opened.
    """

    def on_message(message: Message) -> bool:
        if message.standing is not None:
            show(message.standing)
        return True

    return run_share(settings, Share(), Output(quiet), on_message, "")
