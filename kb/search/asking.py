"""The words that ask and bind in languages whose notes hold them seldom: left out where shares of words are compared.

A question says *who*, *how many* and *which*; the passage that answers it says none of these. Counted among the words
to be found they would hide an answer, in a language without spaces as parts of longer runs too.
"""

from __future__ import annotations

import re
from typing import Final

from kb.search.words import telling

# Spanish; Portuguese, Italian and French; German and Dutch; Russian; Turkish; Vietnamese.
_WORDS: Final = (
    "cuál cuáles cuánto cuántos cuánta cuántas quiénes quienes qué quién cómo cuándo dónde adónde como donde cuando "
    "fue fueron era eran ser sido está están estaba hay había ha han haber se su sus le les más muy este esta estos "
    "estas ese esa esos esas eso esto desde hasta sobre entre sin según durante tiene tienen tuvo hizo hacer hace "
    "puede pueden cual cuya cuyo otro otra otros otras también a e u "
    "quais quanto quantos quanta quantas quem onde são foi foram estão tem têm sua seu suas seus pelo pela quali "
    "quanti quante sono erano stato stata hanno suo suoi sue alla dalla combien lesquels lesquelles était étaient "
    "été avait ont leur leurs sa son ses plus aux sans "
    "welche welcher welches welchen wieviel wieviele viele wurde wurden hat hatte haben wird werden kann können welk "
    "welke hoeveel waar wanneer waarom werd heeft had hebben wordt "
    "что кто где когда как какой какая какие какое сколько почему чем кого какого каких был была было были "
    "в на и с по из к от за для не это "  # noqa: RUF001
    "ne kim nerede nasıl kaç hangi neden kimdir nedir bir ve "  # noqa: RUF001
    "gì ai đâu khi nào như thế bao nhiêu mấy tại sao là của và các những một có được cho trong với "
)
_SPACED: Final = frozenset(_WORDS.split())
# Chinese; Japanese; Korean; Thai.
_JOINED: Final = re.compile(
    "什么时候|为什么|什么|多少|哪些|哪个|哪里|哪儿|哪种|哪位|哪一|哪|谁|何时|何地|如何|怎么样|怎么|怎样|是否|几|什麼|為什麼|哪裡|誰|怎麼|嗎|"
    "吗|呢|的|了|是|在|和|与|有|被|由|于|对|中|为|这|那|个|與|對|為|這|個|"
    "ですか|ますか|でしたか|ましたか|なぜ|どこ|いつ|だれ|どの|どれ|どう|なに|何|いくつ|いくら|は|が|を|に|の|で|と|も|"
    "무엇|누구|어디|언제|어떻게|어떤|어느|몇|왜|입니까|습니까|인가요|인가|는|은|을|를|의|"
    "อะไร|ใคร|ที่ไหน|ไหน|เมื่อไหร่|เมื่อใด|เมื่อไร|เท่าไหร่|เท่าใด|เท่าไร|อย่างไร|ทำไม|กี่|หรือไม่|ใด|บ้าง|ได้แก่|"
    "และ|ของ|เป็น|ที่|ใน|การ|ความ|คือ|มี|ได้|ให้|จาก|โดย|กับ|ว่า|ถูก|ไป|มา"
)
_AROUND: Final = ".,;:!?()[]\"'\u2026\u201c\u201d\u00ab\u00bb\u00bf\u00a1\u3002\uff1f\uff01"


def bare(question: str) -> str:
    """A question without what asks and binds; the question itself where nothing is left."""
    told = telling(question) or question
    words = [word for word in told.split() if word.casefold().strip(_AROUND) not in _SPACED]
    return _JOINED.sub(" ", " ".join(words)).strip() or question
