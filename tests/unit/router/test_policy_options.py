"""A policy on a command line, and one in a file."""

import argparse

import pytest
from policy_words import SITE, make_policy, verdict

from netstack.errors import UsageError
from netstack.router.policy.options import add_policy_options, use_policy_options
from netstack.router.policy.policyfile import load_policy


class Router:
    def __init__(self, default):
        self.policy = make_policy(default)


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    add_policy_options(parser)
    return parser.parse_args(arguments)


def routed(*arguments):
    options = parsed(*arguments)
    router = Router(options.default)
    use_policy_options(router, options)
    return router.policy


def test_rules_of_both_kinds_keep_the_order_in_which_they_were_typed():
    policy = routed("--default", "deny", "--deny", "93.184.216.34:22", "--allow", "93.184.0.0/16", "--deny", "93.184.1.0/24")
    assert list(map(str, policy.rules)) == ["deny 93.184.216.34:22", "allow 93.184.0.0/16", "deny 93.184.1.0/24"]
    assert [verdict(policy, SITE, port) for port in (22, 443)] == ["rule", "connect"]
    assert verdict(policy, "93.184.1.1") == "connect"


def test_without_options_everything_is_allowed():
    policy = routed()
    assert policy.default == "allow" and policy.rules == ()


def test_a_rule_that_is_none_ends_in_one_sentence(capsys):
    with pytest.raises(SystemExit):
        parsed("--allow", "https://api.github.com/")
    assert "argument --allow: 'https://api.github.com/' is a URL: write what stands between //" in capsys.readouterr().err


def test_a_file_sets_up_the_router(tmp_path):
    path = tmp_path / "site.py"
    path.write_text("from pathlib import Path\n\ndef setup(router):\n    router.policy.deny('10.0.0.0/8')\n")
    policy = routed("--allow", "10.1.0.0/16", "--policy", str(path))
    assert list(map(str, policy.rules)) == ["allow 10.1.0.0/16", "deny 10.0.0.0/8"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def setup(router:\n", "line 1: "),
        ("x = 1\n", "has no function setup"),
        ("setup = 1\n", "has no function setup"),
        (None, "is no file"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "site.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=sentence):
        load_policy(str(path))


def test_what_a_file_raises_is_its_own(tmp_path):
    path = tmp_path / "site.py"
    path.write_text("raise LookupError('mine')\n")
    with pytest.raises(LookupError, match="mine"):
        load_policy(str(path))
