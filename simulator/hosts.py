"""A certificate for every host the simulator plays: `python -m simulator.hosts DIRECTORY`.

For trying the product with Microsoft's real names resolved to the simulator; trust the certificate by
`REQUESTS_CA_BUNDLE`. It is good for nothing else.
"""

from __future__ import annotations

import datetime
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.clouds import all_hosts
from simulator.keys import certificate_for, certificate_pem, private_key_pem


def write_certificate(directory: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Write `simulator.crt` and `simulator.key` (readable by the owner only); returns their paths."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate = certificate_for(
        key, "Microsoft 365 simulator", hosts=[*all_hosts(), "localhost"], starts=yesterday, days=90
    )
    directory.mkdir(parents=True, exist_ok=True)
    public, private = directory / "simulator.crt", directory / "simulator.key"
    public.write_text(certificate_pem(certificate))
    private.touch(mode=0o600)
    private.write_text(private_key_pem(key))
    return public, private


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in write_certificate(pathlib.Path(sys.argv[1])))
