"""The limits of a configuration, as those who read files take them."""

from __future__ import annotations

import pytest

from kb.config import load
from kb.reading import code_limits_of, limits_of, rules_of, text_limits_of

# The most milliseconds that poll() takes, and the largest number that setrlimit() does.
POLL, RLIMIT = 2**31 - 1, 2**63 - 1


@pytest.mark.parametrize("value", ["inf", "1e308"])
def test_limits_without_end_are_numbers_that_the_system_takes(value: str) -> None:
    """Whoever writes inf wants no limit."""
    keys = (
        "folders.max_file_mb",
        *(f"documents.{name}" for name in ("max_file_mb", "memory_mb", "text_mb", "seconds")),
    )
    config = load(environ={}, overrides=dict.fromkeys((*keys, "documents.ocr_seconds"), value)).config

    rules = rules_of(config)
    assert min(rules.max_bytes, rules.max_document_bytes) > 10**14
    for limits in (limits_of(config), code_limits_of(config), text_limits_of(config)):
        assert max(limits.seconds, limits.ocr_seconds) * 1000 < POLL
        assert 2 * max(limits.memory, limits.text) < RLIMIT
