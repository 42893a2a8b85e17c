"""API keys and tokens made by recipe, as each provider documents its own: alphabets and lengths.

The recipes are lists of parts, written beside the providers' pages and not from the expressions that look
for them; where a provider documents a range of lengths, or only a minimum, lengths vary.
"""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple, TypeAlias

Recipe: TypeAlias = Callable[[Random], str]
UPPER, LOWER, DIGITS = string.ascii_uppercase, string.ascii_lowercase, string.digits
BASE62 = UPPER + LOWER + DIGITS
BASE64URL = BASE62 + "-_"
BASE64 = BASE62 + "+/"
BASE36 = LOWER + DIGITS
HEX = "0123456789abcdef"
BASE32 = UPPER + "234567"
A_PROVIDER = 60
_PLACES = (
    "Here is my key: {}",
    "{}",
    'export TOKEN="{}"',
    "curl -H 'Authorization: Bearer {}' https://api.example.com/v1",
    '{{"api": "{}", "retries": 3}}',
    "it fails with {}, why?",
    "KEY={}\\nDEBUG=1",
    "first line\n{}\nlast line",
    "({})",
    "https://example.com/?key={}&page=2",
)
_NAMES = ("AWS_SECRET_ACCESS_KEY={}", '"secretAccessKey": "{}"', "aws_secret_access_key = {}")


class Key(NamedTuple):
    """A key, and a text that holds it."""

    provider: str
    secret: str
    text: str


def _of(alphabet: str, least: int, most: int | None = None) -> Recipe:
    return lambda dice: "".join(dice.choices(alphabet, k=dice.randint(least, most or least)))


def _one_of(*choices: str) -> Recipe:
    return lambda dice: dice.choice(choices)


def _joined(*parts: str | Recipe) -> Recipe:
    return lambda dice: "".join(part if isinstance(part, str) else part(dice) for part in parts)


def _any(*recipes: Recipe) -> Recipe:
    return lambda dice: dice.choice(recipes)(dice)


def _uuid(dice: Random) -> str:
    return "-".join(_of(HEX, n)(dice) for n in (8, 4, 4, 4, 12))


def _token_part(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def _jwt(dice: Random) -> str:
    header = {"alg": dice.choice(("HS256", "RS256", "ES256")), "typ": "JWT"}
    claims = {"sub": str(dice.getrandbits(40)), "iat": dice.randint(10**9, 2 * 10**9)}
    return f"{_token_part(header)}.{_token_part(claims)}.{_of(BASE64URL, 43, 342)(dice)}"


def _private_key(dice: Random) -> str:
    kind = dice.choice(("RSA ", "EC ", "OPENSSH ", ""))
    lines = "\n".join(_of(BASE64, 64)(dice) for _ in range(dice.randint(3, 25)))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def _pypi(dice: Random) -> str:
    caveats = json.dumps([2, _uuid(dice)]) + json.dumps({"version": 1, "permissions": "user"})
    head = base64.b64decode(
        "AgEIcHlwaS5vcmcCJA=="
    )  # a macaroon of version 2 with the registry's name
    raw = head + caveats.encode() + dice.randbytes(32)
    return f"pypi-{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


RECIPES: dict[str, Recipe] = {
    "OpenAI": _any(
        _joined("sk-", _of(BASE62, 20), "T3BlbkFJ", _of(BASE62, 20)),
        _joined(
            "sk-",
            _one_of("proj", "svcacct", "admin"),
            "-",
            _of(BASE64URL, 74),
            "T3BlbkFJ",
            _of(BASE64URL, 74),
        ),
    ),
    "Anthropic": _joined("sk-ant-", _one_of("api03", "admin01"), "-", _of(BASE64URL, 93), "AA"),
    "Google": _any(
        _joined("AIza", _of(BASE64URL, 35)),
        _joined("GOCSPX-", _of(BASE64URL, 28)),
        _joined("ya29.", _of(BASE64URL, 60, 200)),
    ),
    "AWS key id": _joined(_one_of("AKIA", "ASIA"), _of(BASE32, 16)),
    "AWS secret": _of(BASE64, 40),
    "Azure": _any(
        _joined(_of(BASE62, 3), "8Q~", _of(BASE62 + "_~.-", 34)),
        _joined(
            "DefaultEndpointsProtocol=https;AccountName=",
            _of(BASE36, 3, 24),
            ";AccountKey=",
            _of(BASE64, 86),
            "==",
        ),
    ),
    "GitHub": _any(
        _joined("gh", _one_of("p", "o", "u", "s", "r"), "_", _of(BASE62, 36)),
        _joined("github_pat_", _of(BASE62, 22), "_", _of(BASE62, 59)),
    ),
    "GitHub stateless": lambda dice: f"ghs_{_jwt(dice)}",
    "GitLab": _joined(_one_of("glpat-", "gldt-", "glrt-", "glft-", "glsoat-"), _of(BASE64URL, 20)),
    "Slack": _any(
        _joined("xoxb-", _of(DIGITS, 11, 13), "-", _of(DIGITS, 11, 13), "-", _of(BASE62, 24)),
        _joined(
            "xoxp-",
            _of(DIGITS, 11, 13),
            "-",
            _of(DIGITS, 11, 13),
            "-",
            _of(DIGITS, 11, 13),
            "-",
            _of(HEX, 32),
        ),
        _joined("xapp-1-A", _of(UPPER + DIGITS, 10), "-", _of(DIGITS, 13), "-", _of(HEX, 64)),
    ),
    "Stripe": _any(
        _joined(_one_of("sk", "rk"), "_", _one_of("live", "test"), "_", _of(BASE62, 24, 99)),
        _joined("whsec_", _of(BASE62, 32)),
    ),
    "Twilio": _joined("SK", _of(HEX, 32)),
    "SendGrid": _joined("SG.", _of(BASE64URL, 22), ".", _of(BASE64URL, 43)),
    "Mailgun": _joined("key-", _of(HEX, 32)),
    "Mailchimp": _joined(_of(HEX, 32), "-us", _of("123456789", 1, 2)),
    "Shopify": _joined(_one_of("shpat_", "shpca_", "shppa_", "shpss_"), _of(HEX, 32)),
    "Square": _any(_joined("sq0csp-", _of(BASE64URL, 43)), _joined("EAAA", _of(BASE64URL, 60))),
    "Hugging Face": _joined("hf_", _of(UPPER + LOWER, 34)),
    "npm": _joined("npm_", _of(BASE62, 36)),
    "PyPI": _pypi,
    "Docker": _joined("dckr_pat_", _of(BASE64URL, 27)),
    "DigitalOcean": _joined(_one_of("dop", "doo", "dor"), "_v1_", _of(HEX, 64)),
    "Cloudflare": _joined(_one_of("cfk_", "cfut_", "cfat_"), _of(BASE62, 40), _of(HEX, 8)),
    "Heroku": _joined("HRKU-AA", _of(BASE64URL, 58)),
    "HashiCorp Vault": _joined("hvs.", _of(BASE64URL, 24, 120)),
    "Terraform Cloud": _joined(_of(BASE62, 14), ".atlasv1.", _of(BASE62, 67)),
    "Databricks": _joined("dapi", _of(HEX, 32)),
    "Discord": _joined(
        _one_of("M", "N", "O"),
        _of(BASE62, 23, 25),
        ".",
        _of(BASE64URL, 6),
        ".",
        _of(BASE64URL, 27, 38),
    ),
    "Telegram": _joined(_of("123456789", 1), _of(DIGITS, 8, 9), ":AA", _of(BASE64URL, 33)),
    "Notion": _joined("ntn_", _of(DIGITS, 11), _of(BASE62, 35)),
    "Linear": _joined("lin_api_", _of(BASE62, 40)),
    "Airtable": _joined("pat", _of(BASE62, 14), ".", _of(HEX, 64)),
    "Atlassian": _joined("ATATT3xFfGF0", _of(BASE64URL, 171), "=", _of(HEX.upper(), 8)),
    "Sentry": _joined("sntryu_", _of(HEX, 64)),
    "Grafana": _joined("glsa_", _of(BASE62, 32), "_", _of(HEX, 8)),
    "New Relic": _joined("NRAK-", _of(UPPER + DIGITS, 27)),
    "Postman": _joined("PMAK-", _of(HEX, 24), "-", _of(HEX, 34)),
    "Groq": _joined("gsk_", _of(BASE62, 52)),
    "xAI": _joined("xai-", _of(BASE62, 80)),
    "Replicate": _joined("r8_", _of(BASE62, 37)),
    "Perplexity": _joined("pplx-", _of(BASE62, 48)),
    "LangSmith": _joined("lsv2_", _one_of("pt", "sk"), "_", _of(HEX, 32), "_", _of(HEX, 10)),
    "Supabase": _joined("sbp_", _of(HEX, 40)),
    "Figma": _joined("figd_", _of(BASE64URL, 40)),
    "JSON web token": _jwt,
    "private key": _private_key,
}
"""By provider. What cannot be told from other text without its name (AWS secrets) stands beside it."""


def keys(seed: int = 0, each: int = A_PROVIDER) -> Iterator[Key]:
    """So many keys of each provider, each in a text."""
    for provider, recipe in RECIPES.items():
        dice = Random(f"{seed} {provider}")
        places = _NAMES if provider == "AWS secret" else _PLACES
        for number in range(each):
            secret = recipe(dice)
            yield Key(provider, secret, places[number % len(places)].format(secret))
