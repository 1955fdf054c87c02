"""Strategies for answers of any text a file may hold or be named by, hostile ones often."""

from __future__ import annotations

from hypothesis import strategies as st
from made_up import HOSTILE, passage

from kb.records import Answer, Freshness, Hit

# Any text a file may hold or be named, hostile characters often, lone surrogates of undecodable names too.
texts = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.characters(min_codepoint=0, max_codepoint=0x9F),
        st.sampled_from([*HOSTILE, "\udc80", "\udcff", "\u2028", "\u200f", "\t", "\n", "漢", "字", "…", "#", "|", "`"]),
    ),
    max_size=60,
)
passages = st.builds(
    passage,
    text=texts,
    path=texts.filter(bool),
    heading=st.lists(texts, max_size=3).map(tuple),
    page=st.none() | st.integers(1, 99),
    place=texts,
)
hits = st.builds(
    Hit,
    rank=st.integers(1, 99),
    passage=passages,
    score=st.floats(-1, 1),
    l2=st.floats(0, 2),
    changed=st.booleans(),
    duplicates=st.lists(
        st.builds(
            Hit, rank=st.just(1), passage=passages, score=st.floats(-1, 1), l2=st.just(1.0), duplicates=st.just(())
        ),
        max_size=5,
    ).map(tuple),
)
answers = st.builds(
    Answer,
    question=texts,
    mode=st.just("dense"),
    index=st.just(Freshness(None, 0)),
    hits=st.lists(hits, max_size=3).map(tuple),
)
