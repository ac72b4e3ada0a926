"""`python -m simulator`: run until interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from simulator.server import SEEDS, start


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulator", description="A pretend Microsoft 365 over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port; the address is printed")
    parser.add_argument(
        "--dns-port", type=int, default=0, help="of its name server, by UDP and TCP; 0 as above"
    )
    parser.add_argument("--mail-port", type=int, default=0, help="of its mail server; 0 as above")
    parser.add_argument("--seed", choices=SEEDS, default="demo")
    parser.add_argument(
        "--latency-ms", type=float, default=0.0, help="every request takes at least this long"
    )
    parser.add_argument("--tls-cert", help="speak HTTPS with this certificate (PEM)")
    parser.add_argument("--tls-key", help="its private key (PEM)")
    return parser.parse_args()


def main() -> int:
    given = _arguments()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with start(
        host=given.host,
        port=given.port,
        seed=given.seed,
        latency_ms=given.latency_ms,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        dns_port=given.dns_port,
        mail_port=given.mail_port,
    ) as simulator:
        sys.stdout.write(f"Simulator at {simulator.url}\n")
        sys.stdout.write(f"Its name server at {given.host}:{simulator.dns.port}\n")
        sys.stdout.write(f"Its mail server at {given.host}:{simulator.mail.port}\n")
        sys.stdout.flush()
        ended.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
