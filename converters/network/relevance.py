"""Rules for `captum.attr.LRP`, which asks every module for one, and has its own for layers with
weights and the commonest activations alone."""

from __future__ import annotations

from typing import Any

from torch import nn

RULE = "_relevance_rule"


class Proportional:
    """A mixin for modules without weights of their own that are linear: relevance goes to each
    input in proportion to what it contributed.

    rule: as Captum reads and deletes it; made when it is first asked for.
    """

    @property
    def rule(self) -> Any:
        """Captum's epsilon rule, or what was set."""
        from captum.attr._utils.lrp_rules import EpsilonRule  # slow, and nobody else asks

        return vars(self).setdefault(RULE, EpsilonRule())

    @rule.setter
    def rule(self, rule: Any) -> None:
        vars(self)[RULE] = rule

    @rule.deleter
    def rule(self) -> None:
        vars(self).pop(RULE, None)


class Flatten(Proportional, nn.Flatten):
    """torch's, with a rule."""


class Unflatten(Proportional, nn.Unflatten):
    """torch's, with a rule."""


class ZeroPad(Proportional, nn.ZeroPad2d):
    """torch's, with a rule."""
