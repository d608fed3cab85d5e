"""Run one job in a separate process without a sandbox, for your own files and for machines without sandboxes.

    python -I unsandboxed.py '{"memory": bytes, "seconds": 60}' <job >reply

Linux enforces its limits of memory and processor time; on other systems, only the judge's clock limits it.
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main(settings: dict) -> None:
    """Read a job from standard input, run it, and write the reply to standard output."""
    sys.path.insert(0, HERE)
    import answer

    job, out = sys.stdin.buffer.read(), sys.stdout.buffer
    if sys.platform == "linux":
        import linux_sandbox

        linux_sandbox.limit(linux_sandbox.address_space() + settings["memory"], settings["seconds"] + 1, 1 << 24, 64)
    out.write(answer.reply_to(job))
    out.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
