"""What a sleep arm is: a recipe for training, settings that differ from it, and a script of what happens.

A script is a list of steps: `learn:N` edits N facts in, `teach:N` leaves N facts for the night, then `nap` and `sleep`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from sleepengine.errors import EngineError
from sleepengine.sleep.settings import SleepSettings

STEP = re.compile(r"(learn|teach):(\d+)|nap|sleep")
PAPER_EPOCHS = 3


class SleepArm(msgspec.Struct, frozen=True, kw_only=True):
    """One column. `settings` are those of `SleepSettings` that differ from the recipe's."""

    name: str
    recipe: str
    script: tuple[str, ...]
    settings: dict[str, str] = {}

    @property
    def facts(self) -> int:
        """How many facts the whole script brings."""
        return sum(count_of(step) for step in self.script)


def count_of(step: str) -> int:
    """How many facts a step brings. Raises EngineError for what is no step."""
    match = STEP.fullmatch(step)
    if match is None:
        raise EngineError(f"no step {step!r}: use learn:N, teach:N, nap and sleep")
    return int(match[2]) if match[2] else 0


def settings_of(arm: SleepArm, seed: int) -> SleepSettings:
    """The arm's settings. Raises EngineError for an unknown recipe, key or value."""
    if arm.recipe not in RECIPES:
        raise EngineError(f"no recipe {arm.recipe!r}: use {', '.join(RECIPES)}")
    fields = {**msgspec.to_builtins(RECIPES[arm.recipe](arm.facts)), "seed": seed, **arm.settings}
    if unknown := set(fields) - {f.name for f in msgspec.structs.fields(SleepSettings)}:
        raise EngineError(f"no setting of sleep is called {', '.join(sorted(unknown))}")
    try:
        return msgspec.convert(fields, SleepSettings, strict=False)
    except msgspec.ValidationError as error:
        raise EngineError(f"a setting of sleep: {error}") from None


def ours(facts: int) -> SleepSettings:
    """The daemon's defaults."""
    return SleepSettings()


def paper(facts: int) -> SleepSettings:
    """The paper's: one question and answer a fact, batches of one, nothing held to the base, Eq. 3 as the gate."""
    return SleepSettings(
        learning_rate=1e-4,
        steps=PAPER_EPOCHS * facts,
        fact_rows=1,
        pair_rows=0,
        other_rows=0,
        anchor_rows=0,
        chat_share=1.0,
        phrasings=1,
        frame_weight=1.0,
        early_stop=False,
        mine_rows=0,
        rem_rate=1.0,
        consolidated_scale=0.1,
        rebuild_every=0,
        gate="paper",
    )


RECIPES = {"ours": ours, "paper": paper}


def tables(facts: int) -> dict[str, tuple[SleepArm, ...]]:
    """The paper's tables at this scale, by number."""
    one_sleep = (f"learn:{facts}", "sleep")
    recipes = ("ours", "paper")
    return {
        "5": tuple(
            SleepArm(name=f"{recipe}, {name}", recipe=recipe, script=one_sleep, settings={"rem": on})
            for recipe in recipes
            for name, on in (("SWS only", "false"), ("SWS + REM", "true"))
        ),
        "6": (SleepArm(name="life cycle", recipe="ours", script=(f"learn:{facts}", "nap", "sleep")),),
        "7": (
            SleepArm(name="dissolved at once", recipe="ours", script=one_sleep, settings={"residual_scale": "0"}),
            SleepArm(name="residual 0.1", recipe="ours", script=one_sleep),
        ),
        "8": tuple(SleepArm(name=recipe, recipe=recipe, script=(*one_sleep, "sleep")) for recipe in recipes),
        "9": (SleepArm(name="nap", recipe="ours", script=(f"learn:{facts}", "nap")),),
    }


def parse_arm(text: str, script: Sequence[str], recipe: str, shared: dict[str, str]) -> SleepArm:
    """An arm from `NAME:key=value,key=value`; the keys may be settings, `recipe` and `script` (steps by "+")."""
    name, _, rest = text.partition(":")
    given = pairs(rest.split(",")) if rest else {}
    steps = tuple(given.pop("script").split("+")) if "script" in given else tuple(script)
    return SleepArm(name=name, recipe=given.pop("recipe", recipe), script=steps, settings={**shared, **given})


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """`key=value` texts. Raises EngineError for one without a value."""
    found = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            raise EngineError(f"{text!r} is not key=value")
        found[key] = value
    return found
