"""What a user types about a policy on a command line: `--default`, `--allow`, `--deny` and `--policy`, the rules in their order."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Protocol

from .policy import Policy
from .policyfile import load_policy
from .spec import read_rule


class Ruled(Protocol):
    """A router, as far as a policy file's function `setup` is not concerned."""

    @property
    def policy(self) -> Policy: ...


class _Rule(argparse.Action):
    """Into one list with the other kind: which of them was written first decides."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        allow = option_string == "--allow"
        try:
            read_rule(allow, values)
        except ValueError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        namespace.rules = [*(getattr(namespace, "rules", None) or ()), (allow, values)]


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Into a group of their own. `use_policy_options` reads what they give."""
    group = parser.add_argument_group(
        "policy", "The first rule that matches decides. WHERE is [PROTO:]NAME|ADDRESS|NETWORK|*[:PORTS][@GUEST]."
    )
    group.add_argument("--default", choices=("allow", "deny"), default="allow", help="what no rule decides (default: %(default)s)")
    group.add_argument(
        "--allow", action=_Rule, metavar="WHERE", dest="rules", help="like api.github.com:443, *.debian.org, 10.1.0.0/16:80,443"
    )
    group.add_argument("--deny", action=_Rule, metavar="WHERE", dest="rules", help="the same, denied")
    group.add_argument("--policy", action="append", metavar="FILE", default=[], help="Python with a function setup(router)")


def use_policy_options(router: Ruled, options: argparse.Namespace) -> None:
    """Rules first, then files, which see them. The default is given to the Policy when it is made. Raises UsageError."""
    written: Sequence[tuple[bool, str]] = options.rules or ()
    for allow, where in written:
        (router.policy.allow if allow else router.policy.deny)(where)
    for setup in [load_policy(path) for path in options.policy]:
        setup(router)
