"""Links that work once, and the sessions that they open."""

from __future__ import annotations

from kb.web.session import LINK_SECONDS, Sessions


def test_link_opens_one_session() -> None:
    """A link gives a cookie once; used again, it gives none."""
    sessions = Sessions()
    link = sessions.new_link()

    cookie = sessions.open(link)

    assert cookie
    assert sessions.known(cookie)
    assert sessions.open(link) is None


def test_link_grows_old() -> None:
    """A link that nobody followed in time opens nothing."""
    now = 0.0
    sessions = Sessions(lambda: now)
    link, late = sessions.new_link(), sessions.new_link()
    now = LINK_SECONDS - 1
    assert sessions.open(link)
    now = LINK_SECONDS + 1

    assert sessions.open(late) is None


def test_made_up_secrets_open_nothing() -> None:
    """Neither a made-up link nor a made-up or empty cookie is known."""
    sessions = Sessions()
    sessions.new_link()

    assert sessions.open("x") is None
    assert sessions.open("") is None
    assert not sessions.known("")
    assert not sessions.known("x")


def test_links_are_bounded() -> None:
    """Of very many links the oldest are forgotten."""
    sessions = Sessions()
    links = [sessions.new_link() for _ in range(100)]

    assert sessions.open(links[0]) is None
    assert sessions.open(links[-1])


def test_sessions_end() -> None:
    """At the end, neither cookies nor links are known."""
    sessions = Sessions()
    cookie, link = sessions.open(sessions.new_link()), sessions.new_link()
    sessions.close()

    assert cookie
    assert not sessions.known(cookie)
    assert sessions.open(link) is None
