"""The shapes of API keys and tokens, as their providers document or publish them.

Each is a prefix that hardly anything else has, and what follows it. A provider that gives keys without a
prefix (AWS secrets, Datadog, Twilio's auth tokens, …) is found by the name that stands before the key.
"""

from __future__ import annotations

_WORD = "[A-Za-z0-9_-]"
_ALNUM = "[A-Za-z0-9]"
_HEX = "[0-9a-f]"

SHAPES: tuple[tuple[str, str], ...] = (
    ("openai, anthropic, openrouter, deepseek", f"sk-{_WORD}{{20,}}"),
    ("stripe", f"[prs]k_(?:live|test)_{_ALNUM}{{10,}}|whsec_[A-Za-z0-9+/]{{20,}}"),
    # ghs_ is a JWT of any length since May 2026.
    (
        "github",
        rf"gh[opru]_{_ALNUM}{{36,}}|ghs_[A-Za-z0-9._-]{{36,}}|github_pat_[A-Za-z0-9_]{{22,}}",
    ),
    ("gitlab", r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct|oas)-[A-Za-z0-9_.-]{20,}"),
    ("aws", "(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}|ABSK[A-Za-z0-9+/]{109,}"),
    ("google", rf"AIza{_WORD}{{35}}|ya29\.{_WORD}{{20,}}|GOCSPX-{_WORD}{{28}}|1//0{_WORD}{{30,}}"),
    ("slack", r"(?:xoxe\.)?xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{20,}"),
    ("slack webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}"),
    ("discord webhook", rf"discord(?:app)?\.com/api/webhooks/[0-9]{{15,}}/{_WORD}{{50,}}"),
    ("sendgrid", rf"SG\.{_WORD}{{16,64}}\.{_WORD}{{16,}}"),
    ("twilio", f"(?:SK|AC){_HEX}{{32}}"),
    ("mailgun", f"key-{_HEX}{{32}}"),
    ("brevo", f"xkeysib-{_HEX}{{64}}-{_ALNUM}{{16}}"),
    ("shopify", "shp(?:at|ca|pa|ss|tka)_[0-9a-fA-F]{32}"),
    ("square, facebook", f"sq0(?:atp|csp|idp)-{_WORD}{{22,}}|EAA{_WORD}{{60,}}"),
    ("braintree", rf"access_token\$(?:production|sandbox)\$[0-9a-z]{{16}}\${_HEX}{{32}}"),
    ("npm", f"npm_{_ALNUM}{{36}}"),
    ("pypi", f"pypi-{_WORD}{{50,}}"),
    ("rubygems, crates.io, nuget", f"rubygems_{_HEX}{{48}}|cio{_ALNUM}{{32}}|oy2[a-z0-9]{{43}}"),
    ("docker", f"dckr_(?:pat|oat)_{_WORD}{{27,}}"),
    ("digitalocean", f"do[opr]_v1_{_HEX}{{64}}"),
    ("heroku", f"HRKU-{_WORD}{{30,}}"),
    ("cloudflare", f"cf(?:k|ut|at)_{_ALNUM}{{40,}}"),
    ("hashicorp vault", rf"hv[bsr]\.{_WORD}{{24,}}"),
    ("databricks", f"dapi{_HEX}{{32}}(?:-[0-9])?"),
    ("hugging face", f"hf_{_ALNUM}{{30,}}|api_org_{_ALNUM}{{34}}"),
    ("replicate", f"r8_{_ALNUM}{{37}}"),
    ("groq", f"gsk_{_ALNUM}{{40,}}"),
    ("xai", f"xai-{_ALNUM}{{70,}}"),
    ("perplexity", f"pplx-{_ALNUM}{{40,}}"),
    ("pinecone", "pcsk_[A-Za-z0-9_]{50,}"),
    ("langsmith", f"lsv2_(?:pt|sk)_{_HEX}{{32}}_{_HEX}{{10}}"),
    ("notion", f"ntn_{_ALNUM}{{40,}}|secret_{_ALNUM}{{43}}"),
    ("linear", f"lin_(?:api|oauth)_{_ALNUM}{{40,}}"),
    ("atlassian", "AT(?:ATT3|CTT3|BB)[A-Za-z0-9_=-]{20,}"),
    ("new relic", "NR(?:AK|II|JS|RA)-[A-Za-z0-9-]{19,}"),
    ("grafana", f"glsa_{_ALNUM}{{32}}_[0-9A-Fa-f]{{8}}|glc_[A-Za-z0-9+/]{{32,}}"),
    ("sentry", "sntry[su]_[A-Za-z0-9+/=_-]{32,}"),
    ("postman", "PMAK-[0-9a-fA-F]{24}-[0-9a-fA-F]{34}"),
    ("supabase", f"sbp_{_HEX}{{40}}|sb_secret_{_WORD}{{20,}}"),
    ("doppler", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{40,}"),
    ("planetscale", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,}"),
    ("figma", f"fig[do]_{_WORD}{{40,}}"),
    ("dropbox", rf"sl\.{_WORD}{{130,}}|sl\.u\.{_WORD}{{130,}}"),
    ("alibaba, tencent", f"LTAI{_ALNUM}{{12,}}|AKID{_ALNUM}{{32}}"),
    ("netlify", f"nf[pc]_{_ALNUM}{{36,}}"),
    ("pulumi, buildkite", f"pul-{_HEX}{{40}}|bkua_{_HEX}{{40}}"),
    ("azure storage, event hubs", "(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{43,86}={0,2}"),
)
"""(providers, RE2 expression) of keys that begin with what they are known by."""

INNER: tuple[tuple[str, str, str, str], ...] = (
    (
        "jwt",
        rf"eyJ{_WORD}{{10,}}\.{_WORD}{{10,}}\.{_WORD}{{10,}}",
        rf"eyJ{_WORD}{{10,}}\.{_WORD}{{10}}",
        "eyj",
    ),
    (
        "discord, telegram",
        rf"[MNO]{_WORD}{{23,27}}\.{_WORD}{{6}}\.{_WORD}{{27,}}|[0-9]{{8,10}}:{_WORD}{{35}}",
        rf"\.{_WORD}{{6}}\.{_WORD}{{27}}|[0-9]:{_WORD}{{35}}",
        ". :",
    ),
    (
        "terraform, airtable",
        rf"{_ALNUM}{{14}}\.atlasv1\.[A-Za-z0-9_=-]{{60,}}|pat{_ALNUM}{{14}}\.{_HEX}{{64}}",
        rf"\.atlasv1\.[A-Za-z0-9_=-]{{60}}|\.{_HEX}{{64}}",
        ".",
    ),
    (
        "azure ad, mailchimp",
        rf"[A-Za-z0-9_~.]{{3}}[0-9]Q~[A-Za-z0-9_~.-]{{31,34}}|{_HEX}{{32}}-us[0-9]{{1,2}}",
        rf"[0-9]Q~[A-Za-z0-9_~.-]{{31}}|{_HEX}{{8}}-us[0-9]",
        "q~ -us",
    ),
)
"""(providers, RE2 expression, its sign, what it needs): keys known by what stands inside. See `patterns.Pattern`."""

NAMES = (
    r"secret_?access_?key|api[ _-]?key|auth[ _-]?token|access[ _-]?token|refresh[ _-]?token|account[ _-]?key"
    r"|client[ _-]?secret|secret[ _-]?key|bearer"
    r"|authorization(?:[\"' :=\\]{0,8}(?:basic|token|api[ _-]?key|key))?"
)
"""What stands before a key that has no shape of its own; in any case."""
NAMED = rf"(?i:(?:{NAMES})s?(?:[ _-]is)?)[\"' \t\n\r:=>\[\\]{{1,6}}"
"""The same with what parts it from the key."""
NAMED_SIGN = rf"(?i:(?:{NAMES})s?(?:[ _-]is)?)[\"' \t\n\rtnr:=>\[\\]{{1,12}}"
"""The same in JSON or in text."""
NAMED_VALUE = "[A-Za-z0-9+/_.~=-]"
