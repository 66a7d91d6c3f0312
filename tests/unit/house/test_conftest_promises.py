"""What tests/conftest.py promises to other tests."""

import random


def test_a_namespace_is_apart_from_the_host(netns):
    assert netns.run("ip", "-o", "link", check=True).stdout.count("\n") == 1  # the loopback alone
    netns.run("ip", "tuntap", "add", "dev", "conftest0", "mode", "tap", check=True)
    assert "conftest0" in netns.run("ip", "-o", "link", check=True).stdout


def test_the_seed_is_the_same_all_through_a_test(seed, request):
    assert random.Random(seed).random() == random.Random(request.config.option.seed).random()
