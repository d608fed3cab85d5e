"""Inside a container: pass jobs from standard input to a fork server, and its replies to standard output.

An input frame is the length of a job [4 bytes] and the job; an output frame is two lengths, a JSON head and a reply.
The relay is a separate process, so that the memory which workers inherit contains no job.
"""

import json
import os
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import exchange


def main(settings: dict) -> None:
    """Serve frames until standard input ends."""
    template, theirs = socket.socketpair()
    settings["control"] = theirs.fileno()
    here = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, "-I", here, json.dumps(settings)]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=sys.stderr) as server:
        theirs.close()
        control, _life = exchange.new_server(template)
        if exchange.listen(control, 170) is None:
            server.kill()
            sys.exit("the fork server did not start")
        _say({"ready": True}, b"")
        while (length := sys.stdin.buffer.read(4)) and len(length) == 4:
            job = sys.stdin.buffer.read(struct.unpack(">I", length)[0])
            ended = exchange.run(control, job, settings["seconds"])
            if ended is None:
                server.kill()
                sys.exit("the fork server is gone")
            state, reply, reason = ended
            _say({"state": state, "reason": reason}, reply)
        control.close()
        template.close()


def _say(head: dict, reply: bytes) -> None:
    text = json.dumps(head).encode()
    sys.stdout.buffer.write(struct.pack(">II", len(text), len(reply)) + text + reply)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
