"""Errors, one table of stable codes.

    LorikeetError
    ├── InvalidEvent     the record is at fault: it becomes a dead letter, never a crash
    ├── NotReady         the world is at fault for now: wait and try again
    └── Unrecoverable    a person has to act: stop, exit code 2
        └── Halted       a guard stopped the work on purpose: exit code 3

Each code says what is wrong and what to do. Codes appear in logs, API answers, metrics, ledger rows
and on the command line; they never change their meaning.
"""

from __future__ import annotations

from enum import Enum


class Code(Enum):
    """A stable error code: number, what it means, what to do about it."""

    # E70xx  events
    NOT_JSON = ("E7001", "the payload is not JSON", "send CloudEvents with JSON data")
    EMPTY = ("E7002", "the record has no value", "do not publish tombstones on input topics")
    MISSING_ATTRIBUTE = (
        "E7003",
        "a required CloudEvents attribute is missing or empty",
        "set specversion, id, source and type",
    )
    WRONG_SPECVERSION = ("E7004", "the specversion is not 1.0", "publish CloudEvents 1.0")
    BAD_TIME = ("E7005", "a time is not RFC 3339 with an offset", "write 2026-01-31T12:00:00Z")
    INVALID_DATA = ("E7006", "the data does not fit its type", "compare it with docs/events/")
    TOO_LARGE = (
        "E7007",
        "the event is over the size limit",
        "send less, or raise curation.max_bytes",
    )
    DATAREF = ("E7008", "dataref is not supported", "send the data inside the event")
    REGISTRY_FRAMING = (
        "E7009",
        "the value carries schema-registry framing",
        "publish plain JSON, without the registry's magic byte",
    )
    CONTENT_TYPE = ("E7010", "the content type is not JSON", "use application/json")
    TOO_DEEP = ("E7011", "the JSON is nested too deeply", "flatten it, or raise curation.max_depth")
    TOO_MANY_MESSAGES = ("E7012", "the trace has too many messages", "split the trace")
    TENANT_CONFLICT = ("E7013", "tenantid and data.tenant_id differ", "state one tenant")
    PLAN_CYCLE = ("E7014", "the plan's steps depend on each other in a circle", "send a DAG")
    DUPLICATE_KEYS = (
        "E7015",
        "what identifies the event is stated twice, differently",
        "write each key once",
    )
    BEYOND_FLOAT = ("E7016", "a number is beyond a 64-bit float", "send a smaller one, or a string")
    BAD_HEADER = (
        "E7017",
        "a header's name or a CloudEvents header is not UTF-8, or the latter has two values",
        "write each header once, in UTF-8",
    )

    # E71xx  configuration and environment
    BAD_SETTINGS = ("E7101", "a setting is wrong", "mend the named path in lorikeet.yaml")
    UNWRITABLE = ("E7102", "a folder cannot be written", "check its owner, mode and free space")
    DISK_FULL = ("E7103", "the disk is full", "free space, then start again: nothing was lost")
    PORT_IN_USE = ("E7104", "a port is in use", "stop the other process or choose another port")
    NOT_INSTALLED = ("E7105", "an optional part is not installed", "install the named extra")
    DOWNLOAD_FAILED = ("E7106", "a download failed", "check the network and try again")
    NETWORK_FS = ("E7107", "SQLite lies on a network file system", "use a local disk")
    EXPOSED_API = (
        "E7108",
        "the API would be open to the network without a token",
        "set api.token (or LORIKEET_API__TOKEN_FILE), or bind to 127.0.0.1",
    )
    NO_SUCH_FILE = ("E7109", "a file is missing or unreadable", "check the path")
    FOREIGN_FOLDER = ("E7110", "the folder belongs to something else", "choose an empty folder")
    CHILD_DIES = ("E7111", "a process keeps dying", "read its log")
    BAD_OPTION = ("E7121", "an option cannot be used", "see --help")

    # E72xx  ledger
    LEDGER_NEWER = ("E7201", "the ledger was written by a newer Lorikeet", "upgrade this one")
    LEDGER_UNREADABLE = (
        "E7202",
        "the ledger cannot be read",
        "restore it or rebuild it from Kafka",
    )
    LEDGER_FENCED = (
        "E7203",
        "another writer owns the partition",
        "nothing: the batch is read again",
    )
    OFFSET_OUT_OF_RANGE = (
        "E7204",
        "the ledger's offset is outside the topic's log",
        "records were lost or the topic was made anew: lorikeet ledger accept-gap",
    )
    LEDGER_LOG_EXPIRED = (
        "E7211",
        "the ledger's log no longer reaches back far enough",
        "nothing: the counters are counted anew from the ledger's rows",
    )
    LEDGER_COLUMN = (
        "E7212",
        "a column of the ledger has another type",
        "restore the ledger; types may only widen",
    )
    STORE_NOT_ATOMIC = (
        "E7213",
        "the object store lets several writers create one object",
        "use a store that enforces If-None-Match, or a local disk",
    )
    LEDGER_MISMATCH = (
        "E7221",
        "the ledger does not agree with Kafka",
        "see docs/ledger.md: what verify may find",
    )
    NO_GAP = ("E7222", "there is no gap to accept", "nothing: ingest goes on from that offset")
    LEDGER_IN_USE = ("E7223", "the ledger is being written", "stop every ingest process first")
    RECORDS_EXPIRED = (
        "E7224",
        "Kafka no longer has some of the ledger's records",
        "keep this ledger; or give --accept-loss to do without them",
    )

    LEDGER_REWRITTEN = (
        "E7225",
        "an erasure has written the ledger anew while it was read",
        "read it again",
    )

    # E73xx  datasets
    DATASET_TOO_SMALL = (
        "E7301",
        "too few examples are left",
        "wait for more, or loosen the recipe",
    )
    DATASET_CORRUPT = (
        "E7302",
        "a dataset does not match its manifest",
        "mend it: lorikeet datasets seal MODEL --again DIGEST; or restore its files",
    )
    NO_SUCH_DATASET = ("E7303", "there is no such dataset", "see: lorikeet datasets list")
    DATASET_ONE_SIDED = (
        "E7304",
        "too few examples are left beside one domain",
        "wait for other domains, or loosen the recipe's caps",
    )
    DATASET_OWN_OUTPUT = (
        "E7305",
        "the dataset would be mostly the model's own output",
        "collect corrections, or raise the recipe's max_own_share",
    )
    DATASET_UNSPLIT = (
        "E7306",
        "the examples cannot be split without a leak",
        "collect more users and tasks, or ask for fewer parts",
    )
    TOO_FEW_DOMAINS = (
        "E7331",
        "too little is declared to tell domains apart",
        "declare task.domain in more events",
    )
    BAD_DOMAIN_MODEL = (
        "E7332",
        "a domain model was written by another Lorikeet",
        "fit it again: lorikeet domains train",
    )
    LEASE_TAKEN = ("E7341", "another process does this already", "wait until it has ended")
    NO_SUCH_ERASURE = (
        "E7342",
        "there is no such erasure, or it is not done",
        "see: lorikeet datasets erasures",
    )
    BAD_DECISION = (
        "E7351",
        "decisions cannot be used",
        "mend the named lines (docs/review.md); nothing was sent",
    )
    BAD_GOLDEN_CASE = (
        "E7352",
        "golden cases cannot be used",
        "mend the named ones (docs/golden.md); nothing was written",
    )
    NO_SUCH_GOLDEN = (
        "E7353",
        "there is no such golden set",
        "see: lorikeet datasets golden list",
    )
    DATASET_LEAKS = (
        "E7361",
        "a dataset has one thing in two parts, or in its golden set",
        "do not train on it: report it, and seal again",
    )
    NOTHING_TO_EXPORT = (
        "E7362",
        "the dataset has nothing that the format can say",
        "choose another --format",
    )

    # E74xx  training
    BAD_JOB = ("E7401", "the job folder does not fit its contract", "compare it with docs/jobs.md")
    TRAINING_FAILED = ("E7402", "the training process failed", "read the attempt's log")
    NOT_FINITE = ("E7403", "the loss or a weight is not finite", "lower the learning rate")
    JOB_EXISTS = ("E7404", "a job of this model is not ended", "see: lorikeet status")
    LEASE_LOST = ("E7405", "another worker took the job over", "nothing: its attempt goes on")
    NO_BASE = ("E7406", "the base model cannot be loaded", "check the model's base path")
    NO_NEW_DATA = ("E7407", "nothing new to train on", "wait for more events")
    PROBE_FAILED = (
        "E7408",
        "the adapter does not behave as it did when it was trained",
        "train again; do not use this adapter",
    )

    # E75xx  artifacts
    DIGEST_MISMATCH = ("E7501", "an artifact does not match its digest", "restore or train again")
    BAD_SIGNATURE = ("E7502", "a signature is missing or wrong", "do not load this adapter")
    NOT_SAFETENSORS = ("E7503", "an adapter is not stored as safetensors", "export it again")
    BAD_ADAPTER = ("E7504", "an adapter does not fit its base", "check rank, modules and base")

    # E76xx  registry and roll-out
    NO_SUCH_MODEL = ("E7601", "there is no such model", "see: lorikeet models list")
    NO_SUCH_VERSION = ("E7602", "there is no such version", "see: lorikeet models list")
    NO_SUCH_ROLLOUT = ("E7603", "there is no such rollout", "see: lorikeet rollouts list")
    ILLEGAL_TRANSITION = ("E7604", "the transition is not allowed", "look at the current state")
    STALE_WRITE = ("E7605", "someone else changed it first", "read it again and repeat")
    NOTHING_TO_ROLL_BACK = ("E7606", "there is no earlier version", "nothing to do")
    GATE_CLOSED = ("E7607", "a stage gate is not met", "see the named gate")
    DB_NEWER = ("E7608", "the control database is newer than this Lorikeet", "upgrade this one")
    OTHER_BASE = (
        "E7609",
        "the version was trained on another base model",
        "choose another version",
    )

    # E77xx  serving
    GATEWAY_DOWN = ("E7701", "a gateway does not answer", "start it, or mend its address")
    LORA_OFF = ("E7702", "the gateway refuses to load adapters", "enable runtime LoRA loading")
    NOT_APPLIED = ("E7703", "the gateway serves something else than decided", "see its log")

    # E78xx  Kafka
    NO_BROKER = ("E7801", "no Kafka broker answers", "start it, or mend --bootstrap")
    NO_TOPIC = ("E7802", "a topic is missing", "create it, or let `lorikeet dev topics` do so")
    PUBLISH_FAILED = ("E7803", "an event could not be published", "nothing: it is tried again")
    BROKER_FAILED = ("E7804", "the embedded broker did not start", "read its log")
    TOO_MANY_DEAD_LETTERS = (
        "E7805",
        "too many records cannot be read",
        "mend their producer or ingest.dead_letters.limit; what tripped it is read again",
    )
    BAD_RANGE = (
        "E7806",
        "a place in the topics is not understood",
        "beginning, now, an RFC 3339 time, or a JSON file {topic:partition: offset}",
    )
    AUTHENTICATION_FAILED = (
        "E7807",
        "Kafka refuses the login",
        "mend user, password or token below kafka.security",
    )
    TLS_FAILED = ("E7808", "no TLS connection to Kafka", "mend the certificates of either side")
    ACCESS_DENIED = ("E7809", "Kafka denies access", "grant the ACLs of docs/deployment.md")
    NO_SUCH_LETTER = ("E7810", "there is no such dead letter", "see: lorikeet dead-letters list")
    CORRUPT_BATCH = ("E7821", "a batch of the log is corrupt", "check the broker's disks")

    # E79xx  the rest
    BAD_IMPORT = ("E7902", "a file to import cannot be read", "compare it with docs/imports.md")

    @property
    def number(self) -> str:
        """The stable number, `E7xxx`."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """What is wrong, in general."""
        return self.value[1]

    @property
    def remedy(self) -> str:
        """What to do."""
        return self.value[2]


class LorikeetError(Exception):
    """Something that has a code. `detail` names the thing at fault in this case."""

    def __init__(self, code: Code, detail: str = "", *, remedy: str | None = None) -> None:
        self.code = code
        self.detail = detail
        self.remedy = remedy or code.remedy
        super().__init__(code.number, detail)

    @property
    def what(self) -> str:
        """What is wrong, without code and remedy."""
        return f"{self.code.meaning}: {self.detail}" if self.detail else self.code.meaning

    def __str__(self) -> str:
        return f"{self.code.number} {self.what}; {self.remedy}"


class InvalidEvent(LorikeetError):
    """The record can never be read: it becomes a dead letter."""


class NotReady(LorikeetError):
    """It may work later: wait and try again."""


class Unrecoverable(LorikeetError):
    """A person has to act: stop with exit code 2."""


class Halted(Unrecoverable):
    """A guard stopped the work on purpose: exit code 3, so that nobody starts it again blindly."""
