"""What is drawn from a seed: the options of a run and the plan of the server that it meets."""

import dataclasses
import random
from dataclasses import dataclass
from typing import Any

from cli_client.settings import Settings
from tests.simulation.server import Odds, Plan
from tests.simulation.wire import HOST, PORT

MANY = 100_000

GENTLE_ENDS = (
    *("close 1000", "close 1001", "close 1005", "close 1011", "close 1012"),
    *("close 1013", "close 4000", "fin", "half-frame", "reset"),
)
HARSH_ENDS = (
    *("close 1002", "close 1003", "close 1007", "close 1008", "close 1009", "close 1010"),
    *("breach", "mute", "black", "deaf"),
)
PASSING_REFUSALS = ("http 503", "http 500", "http 502", "cut", "reset", "half", "garbage")
LASTING_REFUSALS = ("http 403", "http 404", "http 401")
OTHER_REFUSALS = ("http 429", "silent", "behind-101", "wrong-accept", "slow 0.2")
REPLY_FAULTS = (
    *("drop", "twice", "swap", "hold", "stray", "longer", "range", "letter", "short"),
    *("kind", "encoding", "forge", "breach"),
)
CLOSE_ANSWERS = ("late", "after replies", "cut", "reset", "never", "no fin")


@dataclass(frozen=True)
class Scenario:
    """One run to be simulated."""

    settings: Settings
    plan: Plan
    interrupt_at: float | None = None
    """Seconds after which the run is interrupted."""
    seed: int = 0


def draw(seed: int) -> Scenario:
    """Return the scenario of a seed.

    A quarter of the servers are sound, a quarter have faults that no request need suffer from, and
    half do anything.
    """
    rng = random.Random(seed)
    temper = rng.choice(("sound", "rough", "any", "any"))
    settings = _draw_settings(rng)
    plan = _draw_plan(rng, settings, temper)
    interrupt_at = rng.uniform(0.05, 3.0) if rng.random() < 0.05 else None
    return Scenario(settings, plan, interrupt_at, seed)


def _draw_settings(rng: random.Random) -> Settings:
    known = {field.name for field in dataclasses.fields(Settings)}
    options: dict[str, Any] = {
        "url": f"ws://{HOST}:{PORT}/",
        "messages": rng.choice((1, 2, 5, 20, 60, 150)),
        "connections": rng.choice((1, 1, 2, 3, 5, 8)),
        "window": rng.choice((1, 2, 5, 16, 64)),
        "timeout": rng.choice((0.4, 1.0, 2.0)),
        "connect_timeout": rng.choice((0.3, 1.0)),
        "close_timeout": rng.choice((0.2, 1.0)),
        "linger": rng.choice((0.0, 0.01, 0.01, 0.3)),
        "retries": rng.choice((0, 1, 3, 10, 10)),
        "resend": rng.random() < 0.8,
        "expect": rng.choice(("number", "number", "number", "echo", "any", "key")),
        "binary": rng.random() < 0.2,
    }
    if rng.random() < 0.35:
        options["rate"] = rng.choice((5.0, 20.0, 100.0, 250.0))
        options["ramp"] = rng.choice((0.0, 0.0, 0.5))
        options["messages"] = min(options["messages"], int(5 * options["rate"]))
    if rng.random() < 0.35:
        options["duration"] = rng.choice((0.3, 1.0, 2.0))
        if rng.random() < 0.6:
            options["messages"] = None
            options["rate"] = options.get("rate") or 50.0
    if "max_time" in known and rng.random() < 0.15:
        options["max_time"] = rng.choice((0.5, 1.5, 4.0))
    if options["expect"] == "key" and "require" not in known:
        options["expect"] = "any"
    if options["expect"] == "key":
        options |= _draw_service(rng)
    elif rng.random() < 0.1:
        options["size"] = rng.choice((200, 3000, 70_000))
        if options["messages"] is not None:
            options["messages"] = min(20, options["messages"])
    return Settings(**options)


def _draw_service(rng: random.Random) -> dict[str, Any]:
    """Return the options for a service whose messages have ids."""
    login = {
        "greeting": "/method=welcome",
        "hellos": ('{"id":"login","method":"login"}',),
        "hello_replies": ("/result=true",),
    }
    return (login if rng.random() < 0.3 else {}) | {
        "template": '{"jsonrpc":"2.0","id":{i},"method":"get"}',
        "id": "/id",
        "require": ("/result",),
        "push": rng.choice(((), ("/method",))),
        "final": rng.choice((None, "/done=true")),
        "binary": False,
    }


def _draw_plan(rng: random.Random, settings: Settings, temper: str) -> Plan:
    plan: dict[str, Any] = {"expect": settings.expect, "binary": settings.binary}
    if rng.random() < 0.5:
        low = rng.choice((0.0, 0.001, 0.01))
        plan["delay"] = (low, low + rng.choice((0.0, 0.001, 0.02)))
    if settings.expect == "key":
        plan["in_order"] = rng.random() < 0.5
        plan["parts"] = rng.choice((0, 2)) if getattr(settings, "final", None) else 0
        if settings.hellos:
            plan["greeting"] = b'{"method": "welcome"}'
            plan["logins"] = _odds(rng, ("refuse", "silent"), (0.0, 0.0, 0.1, 0.3))
        plan["pushed"] = rng.choice((b'{"method": %d}', b'{"push": %d}'))
    plan["chop"] = rng.random() < 0.3
    if rng.random() < 0.2:
        plan["ping_every"] = rng.choice((0.05, 0.3))
    if rng.random() < 0.2:
        start = rng.uniform(0.0, 1.0)
        plan["stalls"] = ((start, start + rng.uniform(0.1, 0.6) * settings.timeout),)
    if settings.size and rng.random() < 0.3:
        plan["drip"] = rng.choice((5_000, 100_000))
    if temper == "sound":
        plan["close_answer"] = rng.choice(("at once", "at once", "late", "after replies"))
        return Plan(**plan)
    for trait in rng.sample(ROUGH if temper == "rough" else ANY, rng.choice((1, 1, 2, 3))):
        plan |= trait(rng, settings)
    return Plan(**plan)


# Traits: each gives some of a plan's fields.


def _ending(rng: random.Random, settings: Settings) -> dict[str, Any]:
    low = rng.choice((0, 1, 5, 20))
    return {
        "ends": tuple(rng.sample(GENTLE_ENDS, rng.choice((1, 2, 4)))),
        "end_after": (low, low + rng.choice((0, 3, 20))),
        "end_odds": rng.choice((1.0, 0.5)),
        "most_ends": rng.choice((1, 3, MANY)),
    }


def _ending_badly(rng: random.Random, settings: Settings) -> dict[str, Any]:
    some = rng.sample(GENTLE_ENDS + HARSH_ENDS, rng.choice((1, 2)))
    return _ending(rng, settings) | {"ends": tuple(some)}


def _failing_handshakes(rng: random.Random, settings: Settings) -> dict[str, Any]:
    return {
        "openings": _odds(rng, (*PASSING_REFUSALS, "slow 0.2", "behind-101"), (0.1, 0.3, 0.6)),
        "first_opens": rng.random() < 0.7,
    }


def _refusing(rng: random.Random, settings: Settings) -> dict[str, Any]:
    how = rng.choice(PASSING_REFUSALS + LASTING_REFUSALS + OTHER_REFUSALS)
    start = rng.choice((0.0, 0.2, 1.0))
    return {
        "refusing": (start, start + rng.choice((0.3, 2.0, 1000.0)), how),
        "first_opens": rng.random() < 0.8,
    } | _ending(rng, settings)


def _odd_handshakes(rng: random.Random, settings: Settings) -> dict[str, Any]:
    names = PASSING_REFUSALS + LASTING_REFUSALS + OTHER_REFUSALS
    return {"openings": _odds(rng, names, (0.1, 0.5)), "first_opens": rng.random() < 0.7}


def _draining(rng: random.Random, settings: Settings) -> dict[str, Any]:
    how = rng.choice(("close 1001", "close 1012", "fin", "close 1000"))
    return {"drain": (rng.choice((0.05, 0.3, 1.0)), rng.choice((0.0, 0.02, 0.1)), how)}


def _stalling(rng: random.Random, settings: Settings) -> dict[str, Any]:
    start = rng.choice((0.0, 0.2, 0.8, 1.5))
    return {"stalls": ((start, start + rng.choice((0.5, 3.0, 30.0))),)}


def _slow(rng: random.Random, settings: Settings) -> dict[str, Any]:
    low = rng.choice((0.05, 0.3))
    return {"delay": (low, low + rng.choice((0.0, 0.2, settings.timeout)))}


def _pushing(rng: random.Random, settings: Settings) -> dict[str, Any]:
    return {"push_every": rng.choice((0.01, 0.05, 0.3))}


def _greeting(rng: random.Random, settings: Settings) -> dict[str, Any]:
    if settings.hellos:
        return {}
    return {"greeting": rng.choice((b"welcome", b'{"hello": 1}', b"Request 0"))}


def _repeating(rng: random.Random, settings: Settings) -> dict[str, Any]:
    return {"repeat_every": rng.choice((0.05, 0.3, 1.0)), "replies": (("drop", 0.05),)}


def _lying(rng: random.Random, settings: Settings) -> dict[str, Any]:
    return {
        "replies": _odds(rng, REPLY_FAULTS, (0.01, 0.05, 0.3)),
        "hold": rng.choice((0.01, 0.3, settings.timeout + 0.5)),
    }


def _poisoned(rng: random.Random, settings: Settings) -> dict[str, Any]:
    return {
        "poison": rng.choice((0, 3, 10)),
        "ends": (rng.choice(GENTLE_ENDS + HARSH_ENDS),),
    }


def _closing_oddly(rng: random.Random, settings: Settings) -> dict[str, Any]:
    return {"close_answer": rng.choice(CLOSE_ANSWERS)}


def _odds(rng: random.Random, names: tuple[str, ...], sizes: tuple[float, ...]) -> Odds:
    some = rng.sample(names, min(len(names), rng.choice((1, 1, 2, 3))))
    size = rng.choice(sizes)
    return tuple((name, size / len(some)) for name in some)


ROUGH = (_ending, _failing_handshakes, _draining, _closing_oddly)
ANY = (
    *ROUGH,
    *(_ending_badly, _refusing, _odd_handshakes, _stalling, _slow, _pushing, _greeting),
    *(_repeating, _lying, _poisoned),
)
