"""File descriptors: each connection takes one, and a process has a limited number."""

__all__ = ["DescriptorError", "allow"]

SPARE = 64
"""How many a process needs besides: standard streams, the event loop, files, libraries."""


class DescriptorError(Exception):
    """There are too few; the message says how many, and what to do."""


def allow(connections: int) -> None:
    """Allow this process as many connections.

    Raises:
        DescriptorError: If the system does not.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (OSError, ValueError):
        enough = -(-connections // max(1, hard - SPARE))
        raise DescriptorError(
            f"{connections:,} connections need {needed:,} open files, and a process may have "
            f"{hard:,}: allow more (ulimit -n {needed}), or spread them with --processes {enough}"
        ) from None
