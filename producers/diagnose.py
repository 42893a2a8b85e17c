"""Why a Kafka cluster cannot be used. aiokafka says no more than `Unable to bootstrap`, so ask again.

What it met is in its log only: a refused login and an untrusted certificate look like a broker that
is down. Here one connection to each address is made by the same code and the error is looked at.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from typing import Any

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from producers.connection import KafkaConnection
from schemas.errors import Code, NotReady, Unrecoverable

_TIMEOUT_MS = 5_000
_ERRNO = re.compile(r"\[Errno (\d+)\]")
_DENIED = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
_NO_SUCH_LOGIN = (IllegalSaslStateError, UnsupportedSaslMechanismError)
_CLOSED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_EXPIRED, _OTHER_NAMES = (10,), (62, 64)
"""OpenSSL's verification errors X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH."""
_TLS_ALERT = 0x1503
"""First bytes of a TLS alert, which a client without TLS takes for the length of an answer."""
Trouble = NotReady | Unrecoverable


async def diagnose(
    connection: KafkaConnection, error: BaseException, doing: str = "connecting"
) -> Trouble:
    """What `error`, met while `doing`, comes from; to be raised by the caller.

    Unrecoverable(AUTHENTICATION_FAILED, TLS_FAILED or ACCESS_DENIED) for what a person has to mend,
    else NotReady(NO_BROKER).
    """
    if isinstance(error, _DENIED):
        return Unrecoverable(Code.ACCESS_DENIED, f"{doing}: {_plain(error)}")
    options = {**connection.options(), "request_timeout_ms": _TIMEOUT_MS}
    del options["bootstrap_servers"]
    met: list[Trouble] = []
    for host, port, _ in collect_hosts(connection.bootstrap, randomize=False):
        found = await _bootstrap(host, port, options)
        if isinstance(found, list):
            met = await _each(found, options)
            break
        met.append(found)
    lasting = [trouble for trouble in met if isinstance(trouble, Unrecoverable)]
    known = [*lasting, *met]
    return (
        known[0] if known else NotReady(Code.NO_BROKER, f"{connection}: {doing}: {_plain(error)}")
    )


async def _bootstrap(
    host: str, port: int, options: dict[str, Any]
) -> list[tuple[str, int]] | Trouble:
    """The brokers that the first one names."""
    connection: AIOKafkaConnection | None = None
    try:
        connection = await create_conn(host, port, **options)
        answer = await connection.send(MetadataRequest([]))
    except (OSError, KafkaError) as error:
        return _explain(f"{host}:{port}", error, answered=connection is not None)
    finally:
        if connection is not None:
            connection.close()
    return [(broker[1], broker[2]) for broker in answer.brokers]


async def _each(brokers: list[tuple[str, int]], options: dict[str, Any]) -> list[Trouble]:
    """What the brokers' advertised addresses give, where that is trouble."""
    met = await asyncio.gather(*(_bootstrap(host, port, options) for host, port in brokers))
    return [found for found in met if not isinstance(found, list)]


def _explain(address: str, error: Exception, *, answered: bool) -> Trouble:
    cause = error.__cause__ or error
    if isinstance(error, SaslAuthenticationFailed):
        return Unrecoverable(Code.AUTHENTICATION_FAILED, f"{address}: {error.args[0]}")
    if isinstance(error, _NO_SUCH_LOGIN):
        why = "its listener does not offer this SASL mechanism"
        remedy = "mend kafka.security.protocol and mechanism, or the port"
        return Unrecoverable(Code.AUTHENTICATION_FAILED, f"{address}: {why}", remedy=remedy)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, _CLOSED):
        return _tls(address, cause)
    if _speaks_tls(cause):
        remedy = "set kafka.security.protocol to SSL or SASL_SSL, or mend the port"
        return Unrecoverable(Code.TLS_FAILED, f"{address}: its listener wants TLS", remedy=remedy)
    if answered:
        return NotReady(Code.NO_BROKER, f"{address}: it closed the connection; does it want SASL?")
    return NotReady(Code.NO_BROKER, f"{address}: {_plain(cause)}")


def _plain(error: BaseException) -> str:
    """What a failed connection met, in words."""
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, (ConnectionResetError, asyncio.IncompleteReadError, ssl.SSLError)):
        return "it closed the connection; does kafka.security.protocol fit this port?"
    if isinstance(error, (TimeoutError, asyncio.CancelledError)):
        return "no answer"
    numbers = {error.errno} if isinstance(error, OSError) else set()
    numbers |= {int(found) for found in _ERRNO.findall(str(error))}  # one name, several addresses
    if errno.ECONNREFUSED in numbers:
        return "refused"
    return str(error) or type(error).__name__


def _tls(address: str, error: ssl.SSLError) -> Unrecoverable:
    remedy = "give the client certificate that it asks for: kafka.security.certificate_file"
    why = (error.reason or str(error)).lower().replace("_", " ")
    if isinstance(error, ssl.SSLCertVerificationError):
        why, remedy = error.verify_message, "name who signed it: kafka.security.ca_file"
        if error.verify_code in _EXPIRED:
            remedy = "renew the broker's certificate"
        elif error.verify_code in _OTHER_NAMES:
            remedy = (
                "connect by a name in the certificate, or set kafka.security.check_hostname: false"
            )
    return Unrecoverable(Code.TLS_FAILED, f"{address}: {why}", remedy=remedy)


def _speaks_tls(error: BaseException) -> bool:
    return isinstance(error, asyncio.IncompleteReadError) and (
        error.expected is not None and error.expected >> 16 == _TLS_ALERT
    )
