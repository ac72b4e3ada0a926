"""Started by the tests as a process of its own: holds a database until told to stop, or until killed.

Usage: holder.py DATA_ROOT. Prints one line of JSON when the server answers, then waits for a line.
"""

import json
import sys
from pathlib import Path

from ump_portal import embedded


def main() -> None:
    try:
        server = embedded.start(Path(sys.argv[1]), settings={"fsync": "off"})
    except embedded.EmbeddedError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    pid = (server.home / "data" / "postmaster.pid").read_text().splitlines()[0]
    facts = {"pid": int(pid), "url": server.url_app, "home": str(server.home)}
    print(json.dumps(facts), flush=True)
    sys.stdin.readline()
    print(json.dumps({"ended_it": server.stop()}), flush=True)


main()
