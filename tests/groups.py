"""Which tests share a worker in a parallel run (`-n 3 --dist loadgroup`).

By their place, because xdist's own way, the mark `xdist_group`, has no effect with pytest 9.2: it writes the group
into a name that pytest no longer reads.
"""

from xdist.scheduler import LoadScopeScheduling

# The first that fits counts. What shares processes, or kills them, must not run twice at once.
GROUPS = {
    "tests/system/test_broker.py": "portals of their own",
    "tests/system/test_hosts.py": "portals of their own",
    "tests/chaos/test_under_fire.py": "portals of their own",
    "tests/system/": "one portal",
    "tests/up/test_up.py": "up",
    "tests/browser/": "browser",
}


class ByPlace(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return next((group for place, group in GROUPS.items() if nodeid.startswith(place)), nodeid)
