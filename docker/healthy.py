#!/usr/bin/env python3
"""`healthy URL`: exit 0 if the page answers, 1 if not. For health checks; the images have no curl."""

from __future__ import annotations

import sys
import urllib.request

_SECONDS = 3.0


def main(url: str) -> None:
    """Ask once. A proxy that is set for other purposes is not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=_SECONDS).close()
    except OSError as error:
        sys.exit(f"{url}: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
