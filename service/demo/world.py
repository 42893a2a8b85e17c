"""A simulated support desk: what customers ask, which tools exist, and what the tools do.

The desk has two versions. In the second one tools and their arguments were renamed and two new kinds
of request arrive. A task is done when the desk's state afterwards is exactly what the customer asked
for; who calls the tools, and how, is not the desk's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

_OPENERS = (
    "hello", "hi there", "good morning", "hey", "dear team", "excuse me", "hello again",
    "good evening", "hi", "greetings", "good afternoon", "hey folks",
)  # fmt: skip
_COLORS = (
    "red", "blue", "green", "black", "white", "silver", "golden", "grey", "brown", "purple",
    "orange", "yellow",
)  # fmt: skip
ITEMS = (
    "kettle", "lamp", "backpack", "keyboard", "jacket", "tent", "camera", "blender", "mirror",
    "clock", "chair", "router", "scooter", "helmet", "carpet", "toaster", "monitor", "guitar",
    "suitcase", "heater",
)  # fmt: skip
_TIMES = (
    "yesterday", "last monday", "last tuesday", "last friday", "two days ago", "three weeks ago",
    "in march", "in june", "before the holidays", "on sunday", "this morning", "a month ago",
    "last week", "the other day",
)  # fmt: skip
_PEOPLE = (
    "my sister", "my brother", "my mother", "my father", "a friend", "my neighbour", "the office",
    "my daughter", "my son", "a colleague", "my cousin", "myself", "my partner", "the kitchen",
)  # fmt: skip
_CLOSERS = (
    "thanks", "thank you very much", "please be quick", "many thanks", "i appreciate it", "cheers",
    "hope you can help", "kind regards", "thanks a lot", "let me know", "that would be great",
    "best wishes",
)  # fmt: skip
CITIES = (
    "lyon", "oslo", "porto", "ghent", "turin", "leeds", "malmo", "bern", "krakow", "seville",
    "dublin", "vienna", "athens", "riga", "tallinn", "nantes", "basel", "utrecht", "bremen", "graz",
)  # fmt: skip
_REASONS: dict[str, tuple[str, ...]] = {
    "changed_mind": ("i changed my mind", "i no longer want it", "i thought about it again"),
    "found_cheaper": (
        "i found it cheaper elsewhere",
        "another shop sells it for less",
        "the price is too high",
    ),
    "too_slow": (
        "it takes too long",
        "the delivery is far too slow",
        "it should have been here by now",
    ),
    "duplicate": (
        "i ordered it twice by mistake",
        "it is a duplicate",
        "i already have the same one",
    ),
}
_TOPICS: dict[str, tuple[str, ...]] = {
    "billing": ("my invoice is wrong", "i was charged twice", "the bill does not add up"),
    "courier": (
        "the courier was rude",
        "the driver left it in the rain",
        "the driver never rang",
    ),
    "website": (
        "your website keeps crashing",
        "the checkout page hangs",
        "i get an error on your site",
    ),
}
_PHRASES: dict[str, tuple[str, ...]] = {
    "cancel": (
        "please cancel order {order} because {phrase}",
        "{phrase} so stop order {order}",
        "i do not want order {order} any more , {phrase}",
        "can you call off order {order} ? {phrase}",
        "drop order {order} , {phrase}",
    ),
    "refund": (
        "i want my money back for the {item} in order {order}",
        "the {item} from order {order} arrived broken , please refund it",
        "order {order} had a faulty {item} , refund me",
        "give me a refund for the {item} of order {order}",
    ),
    "reroute": (
        "send order {order} to {city} instead",
        "please deliver order {order} to {city}",
        "i moved to {city} so change the address of order {order}",
        "order {order} has to go to {city}",
    ),
    "track": (
        "where is order {order} ?",
        "when does order {order} arrive ?",
        "i am still waiting for order {order} , where is it ?",
        "track order {order} for me",
    ),
    "password": (
        "i forgot my password , send the reset by {channel}",
        "i cannot log in any more , use {channel}",
        "reset my password by {channel}",
        "my login fails , please reset it by {channel}",
    ),
    "ticket": (
        "i have a complaint : {phrase}",
        "{phrase} and i want to complain",
        "please open a ticket , {phrase}",
    ),
    "quantity": (
        "make it {count} pieces in order {order}",
        "change order {order} to {count} of them",
        "i need {count} of them in order {order}",
        "order {order} should be {count} pieces",
    ),
    "gift": (
        "how much is left on gift card {card} ?",
        "please check the balance of gift card {card}",
        "is there money on gift card {card} ?",
        "tell me what gift card {card} is worth",
    ),
    "warranty": (
        "extend the warranty of order {order} by {count} years",
        "i want {count} more years of warranty on order {order}",
        "can order {order} get {count} years extra warranty ?",
    ),
}

Call = Mapping[str, Any]
Effect = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the desk: what it is called, what it takes, and what it does."""

    name: str
    arguments: tuple[str, ...]
    effect: str

    def definition(self) -> dict[str, Any]:
        """As an OpenAI tool definition."""
        properties = {name: {"type": "string"} for name in self.arguments}
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "parameters": {
                    "type": "object",
                    "properties": properties,
                    "required": list(self.arguments),
                },
            },
        }


def _tools(**named: tuple[str, tuple[str, ...]]) -> dict[str, Tool]:
    return {effect: Tool(name, arguments, effect) for effect, (name, arguments) in named.items()}


_FIRST = _tools(
    cancel=("cancel_order", ("order_id", "reason")),
    refund=("refund_item", ("order_id", "item")),
    reroute=("change_address", ("order_id", "city")),
    track=("track_order", ("order_id",)),
    password=("reset_password", ("channel",)),
    ticket=("open_ticket", ("topic",)),
    quantity=("set_quantity", ("order_id", "count")),
)
_SECOND = _FIRST | _tools(
    cancel=("void_purchase", ("purchase", "cause")),
    refund=("issue_credit", ("purchase", "product")),
    reroute=("redirect_parcel", ("purchase", "destination")),
    gift=("card_balance", ("card",)),
    warranty=("extend_cover", ("purchase", "years")),
)


@dataclass(frozen=True, slots=True)
class Task:
    """A customer's request and the state that would satisfy it."""

    prompt: str
    goal: tuple[Effect, ...]


class Desk:
    """One version of the support desk: 1 before the change, 2 after it."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._tools = _FIRST if version == 1 else _SECOND
        self._by_name = {tool.name: tool for tool in self._tools.values()}
        mix = {"cancel": 24, "refund": 22, "reroute": 20, "track": 12, "password": 8, "ticket": 7}
        mix |= {"quantity": 7}
        self._mix = (
            mix
            if version == 1
            else {**mix, "track": 8, "password": 5, "gift": 10}
            | {
                "ticket": 5,
                "quantity": 5,
                "warranty": 10,
            }
        )

    def definitions(self) -> list[dict[str, Any]]:
        """The tools as an agent sees them."""
        return [tool.definition() for tool in self._tools.values()]

    def task(self, random: Random) -> Task:
        """A new request: one wish, sometimes two."""
        item = random.choice(ITEMS)
        wishes = 2 if random.random() < _TWO_WISHES else 1
        parts = [self._wish(random, item, number + 1) for number in range(wishes)]
        opening = (
            f"{random.choice(_OPENERS)} , i bought the {random.choice(_COLORS)} {item} "
            f"{random.choice(_TIMES)} for {random.choice(_PEOPLE)} . "
        )
        text = opening + " . also ".join(text for text, _ in parts)
        return Task(f"{text} . {random.choice(_CLOSERS)}", tuple(effect for _, effect in parts))

    def calls(self, goal: Sequence[Effect]) -> list[dict[str, Any]]:
        """The calls that reach a goal: what an expert of this desk would do."""
        return [
            {
                "name": self._tools[effect].name,
                "arguments": dict(zip(self._tools[effect].arguments, values, strict=True)),
            }
            for effect, values in goal
        ]

    def act(self, call: Call) -> tuple[Effect | None, str]:
        """Carry out a call: its effect (None if refused) and what the tool answers."""
        tool = self._by_name.get(call["name"])
        if tool is None:
            return None, f"error: there is no tool {call['name']!r}"
        given = call["arguments"]
        if not isinstance(given, Mapping) or set(given) != set(tool.arguments):
            return None, f"error: {tool.name} takes {', '.join(tool.arguments)}"
        return (tool.effect, tuple(str(given[name]) for name in tool.arguments)), "ok"

    def _wish(self, random: Random, item: str, number: int) -> tuple[str, Effect]:
        kind = random.choices(list(self._mix), list(self._mix.values()))[0]
        words = {
            "order": f"<ORDER_{number}>",
            "card": f"<GIFT_{number}>",
            "item": item,
            "city": random.choice(CITIES),
            "channel": random.choice(("email", "sms")),
            "count": random.choice("123" if kind == "warranty" else "123456"),
        }
        named = {"cancel": _REASONS, "ticket": _TOPICS}.get(kind)
        if named:
            words["named"] = random.choice(list(named))
            words["phrase"] = random.choice(named[words["named"]])
        text = random.choice(_PHRASES[kind]).format(**words)
        return text, (kind, tuple(words[name] for name in _VALUES[kind]))


_TWO_WISHES = 0.12
_VALUES = {
    "cancel": ("order", "named"),
    "refund": ("order", "item"),
    "reroute": ("order", "city"),
    "track": ("order",),
    "password": ("channel",),
    "ticket": ("named",),
    "quantity": ("order", "count"),
    "gift": ("card",),
    "warranty": ("order", "count"),
}
FRAME_TOKENS = (
    '{"name": "', '", "arguments": {"', '": "', '", "', '"}}',
    *(f"<{kind}_{number}>" for kind in ("ORDER", "GIFT") for number in (1, 2)),
)  # fmt: skip
"""What the tiny model's tokenizer keeps whole: the frame of a call and the masked identifiers."""


def corpus(random: Random, size: int) -> list[dict[str, Any]]:
    """Solved requests of the first desk, for pre-training: {messages}."""
    desk = Desk(1)
    tasks = [desk.task(random) for _ in range(size)]
    return [
        {
            "messages": [
                {"role": "user", "content": task.prompt},
                {"role": "assistant", "content": "", "tool_calls": desk.calls(task.goal)},
            ]
        }
        for task in tasks
    ]


def mix_up(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """A careless annotator's answer: the right arguments in the wrong tool."""
    names = [tool.name for tool in _SECOND.values()]
    return [
        {
            "name": names[(names.index(call["name"]) + 1) % len(names)],
            "arguments": call["arguments"],
        }
        for call in calls
    ]
