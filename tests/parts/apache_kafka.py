"""Apache Kafka, the real one: fetched by Maven, one node that is broker and controller."""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from tests.parts.broker import Broker
from tests.parts.server import free_port

_POM = Path(__file__).with_name("pom.xml")
_ROOT = _POM.parents[2]
_JVM = ["java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
_TERMINATED = 128 + signal.SIGTERM
"""Exit code of Java after SIGTERM."""


class ApacheKafka(Broker):
    keeps_records = True
    ready_within_s = 60.0

    def __init__(self) -> None:
        super().__init__()
        libs = libraries()
        self._jars = f"{libs}/*"
        self._archive = libs.with_name("classes.jsa")
        self._new_archive = self._archive.with_suffix(f".{self.port}")
        self._properties = self.folder / "server.properties"
        self._properties.write_text(self.properties())
        self._format()

    def command(self) -> list[str]:
        """The command line. The first broker that is stopped leaves an archive of its classes, with which
        all later ones start in half the time."""
        if self._archive.exists():
            sharing = f"-XX:SharedArchiveFile={self._archive}"
        else:
            sharing = f"-XX:ArchiveClassesAtExit={self._new_archive}"
        return [*_JVM, sharing, "-cp", self._jars, "kafka.Kafka", str(self._properties)]

    async def stop(self) -> None:
        process = self.process
        await super().stop()
        if process is not None and self._new_archive.exists():
            if process.returncode == _TERMINATED:  # else it may be half written
                os.replace(self._new_archive, self._archive)
            self._new_archive.unlink(missing_ok=True)

    def properties(self) -> str:
        return _properties(self.port, free_port(), self.folder / "data")

    def _format(self) -> None:
        """Prepare the folder as Kafka's tool did once: a copy, since the tool needs as long as a start."""
        shutil.copytree(_formatted_data(), self.folder / "data")


@cache
def _formatted_data() -> Path:
    """A folder that Kafka's tool has prepared for any broker of these tests; removed with the process."""
    folder = Path(tempfile.mkdtemp(prefix="streamer-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "server.properties").write_text(_properties(free_port(), free_port(), folder / "data"))
    format_folder(folder / "server.properties", urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode())
    return folder / "data"


def format_folder(properties: Path, cluster_id: str, options: Sequence[str] = ()) -> None:
    """Prepare the folder of a broker with Kafka's own tool."""
    arguments = ["format", f"--cluster-id={cluster_id}", "--config", str(properties), *options]
    _succeed([*_JVM, "-cp", f"{libraries()}/*", "kafka.tools.StorageTool", *arguments])


def version() -> str:
    found = ElementTree.parse(_POM).findtext("{*}properties/{*}kafka.version")
    assert found is not None
    return found


def libraries() -> Path:
    """The folder with Kafka's jars, fetched once. Raises RuntimeError where Maven or network is missing."""
    libs = _ROOT / ".cache" / f"kafka-{version()}" / "libs"
    if not libs.is_dir():
        libs.parent.mkdir(parents=True, exist_ok=True)
        _fetch(libs)
    return libs


def _fetch(libs: Path) -> None:
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=libs.parent))
    try:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
        _succeed(["mvn", "-q", "-B", "-f", str(_POM), *goal])
        if not libs.exists():  # another run may have been faster
            os.rename(partial, libs)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _succeed(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        raise RuntimeError(f"{command[0]} is missing: Apache Kafka is fetched with Maven and runs on Java 17")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _properties(port: int, controller: int, data: Path) -> str:
    # The session is short because a killed broker is let in again only when its former self has
    # run out; retention is off because tests publish history under its own time.
    return f"""
process.roles=broker,controller
node.id=1
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=BROKER://127.0.0.1:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={data}
log.retention.ms=-1
log.cleaner.backoff.ms=500
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""
