"""What a sentence does beside the others: refers back, states a problem, gives a step or a reason. English only.

Functions of values. Elsewhere nothing is found, so that the words and the cosines decide alone.
"""

from __future__ import annotations

import re
from typing import Final

_REFERS: Final = re.compile(
    r"[\"'“(]*(?:(?:However|Also|Thus|Then|Later|Instead|Therefore|For (?:example|instance)), )?"
    r"(?:It|Its|They|Their|Them|He|His|She|Her|This|These|Those|That|Such|Another|Both|"
    r"The (?:latter|former|same|other|two|company|event|statement))\b",
    re.IGNORECASE,
)
_PROBLEM: Final = re.compile(
    r"\b(?:I|we)(?:'ve| have|'m| am|'d)?"
    r"(?: (?:also|just|recently|often|really|still|had|was|were|been|then|finally|did))* ?"
    r"(?:want(?:ed|ing)?|need(?:ed|ing)?|wonder(?:ed|ing)?|hop(?:ed|ing)|wish(?:ed)?|would like|like to|"
    r"(?:was|were|am|been|kept) (?:trying|getting|seeing|looking|working|having|hoping)|"
    r"trying|getting|seeing|looking for|had (?:an?|been|to)|ran into|noticed|found myself|"
    r"(?:figured out|worked out|learned) how|decided to (?:try|figure|see|learn))\b|"
    r"\b(?:[Ss]ay you|[Ss]uppose you|if you want to|[Uu]seful if)\b"
)
_STEP: Final = re.compile(
    r"\b(?:trick|solution|turns? out|fix(?:ed)? (?:is|was|this|it)|recipe|incantation|the key (?:is|was|thing)|"
    r"[Yy]ou can|[Ss]o I|works? by|exactly that|this works|do(?:es)? this|like (?:this|so))\b|"
    r"^(?:\d+\.\s+|[-*]\s+|First, |Then |Next, |Now )?(?:Use|Run|Add|Click|Set|Install|Open|Type|Create|Call|Pass|Put|"
    r"Go|Find|Attach|Select|Switch|Running|Using)\b"
)
_REASON: Final = re.compile(
    r"\b(?:because|since|so that|due to|in order to|as a result|therefore|caused?|reason|prompting|in response|"
    r"to (?:protect|prevent|avoid|make))\b",
    re.IGNORECASE,
)
_HOW: Final = re.compile(
    r"\b(?:how (?:do|can|could|should|to|would)|what is the (?:easiest|best|way)|how does one)\b", re.IGNORECASE
)
_WHY: Final = re.compile(r"\bwhy\b", re.IGNORECASE)


def asks_how(question: str) -> bool:
    """Whether a question asks what to do: *how do I*, *how can*, *what is the best way*."""
    return bool(_HOW.search(question))


def asks_why(question: str) -> bool:
    """Whether a question asks for a reason."""
    return bool(_WHY.search(question))


def refers_back(sentence: str) -> bool:
    """Whether a sentence begins with a word for what the one before it names, such as *it*."""
    return bool(_REFERS.match(sentence))


def states_problem(sentence: str) -> bool:
    """Whether a sentence says what somebody wanted or ran into, as notes do before they say what helped."""
    return bool(_PROBLEM.search(sentence))


def gives_step(sentence: str) -> bool:
    """Whether a sentence says what to do, or that it says what helped: *Run this*, *The trick is*."""
    return bool(_STEP.search(sentence))


def gives_reason(sentence: str) -> bool:
    """Whether a sentence has a word of reasons, such as *because*."""
    return bool(_REASON.search(sentence))
