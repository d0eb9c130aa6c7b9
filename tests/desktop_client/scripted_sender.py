"""Stands in for the sender: says what the test has put into WSROLL_TEST_SCRIPT, and ends.

The word ``wait`` in the script waits for SIGINT or SIGTERM.
"""

import json
import os
import signal
import sys

if __name__ == "__main__":
    # Blocked, a signal that comes before it is waited for is not lost.
    interrupts = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, interrupts)
    for line in json.loads(os.environ["WSROLL_TEST_SCRIPT"]):
        if line == "wait":
            signal.sigwait(interrupts)
        else:
            text = line if isinstance(line, str) else json.dumps(line)
            print(text, file=sys.stderr, flush=True)
    sys.exit(1)
