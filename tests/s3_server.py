"""A real S3 server for tests, SeaweedFS from its PyPI wheel, and a proxy that breaks its promise."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from service.broker import free_port
from tests.processes import wait_for

BUCKET = "lorikeet"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "lorikeet", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


@contextmanager
def serving(binary: str, folder: Path) -> Iterator[str]:
    """Run the server on free ports of this machine; its address."""
    ports = {name: free_port() for name in ("master", "filer", "volume", "s3")}
    grpc = {f"{name}.port.grpc": free_port() for name in ports}
    options = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "bucket": BUCKET,
        "webdav": "false",
        "admin.ui": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "filer.localSocket": folder / "filer.sock",
        **{f"{name}.port": port for name, port in ports.items()},
        **grpc,
    }
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "mini", *(f"-{name}={value}" for name, value in options.items())],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **CREDENTIALS},
        )
    try:
        address = f"http://127.0.0.1:{ports['s3']}"
        wait_for(lambda: _takes_objects(address), "the S3 server takes objects")
        yield address
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def forgetful_proxy(address: str) -> Iterator[str]:
    """Forwards everything but `If-None-Match`: a store where the last of several writers wins."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def put(self) -> None:
            key = self.path.removeprefix(f"/{BUCKET}/")
            body = self.rfile.read(int(self.headers["content-length"]))
            obstore.put(store(address), key, body)  # signed anew: the header is part of a signature
            self._answer(httpx.Response(200, headers={"etag": '"0"'}))

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            where, headers = address + self.path, dict(self.headers.items())
            self._answer(httpx.request(self.command, where, headers=headers, content=body))

        def _answer(self, answer: httpx.Response) -> None:
            self.send_response(answer.status_code)
            for name in ("etag", "last-modified", "content-type"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_PUT, do_GET, do_POST = put, forward, forward  # noqa: N815 - the server's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def store(address: str) -> S3Store:
    """The bucket."""
    return S3Store(
        BUCKET,
        endpoint=address,
        access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def _takes_objects(address: str) -> bool:
    try:
        obstore.put(store(address), "ready", b"1")
    except BaseError:
        return False
    return True
