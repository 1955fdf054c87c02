"""Text in a document that speaks to a language model instead of its reader. A function of values.

Found by what such texts say in the languages most of them are in. It is the last of several checks: instructions in
files are data to the model, and a claim without a true quote is dropped whatever made the model write it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_PATTERNS: Final = (
    # English.
    (
        r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
        r"\b(?:above|previous|prior|earlier|preceding|instructions?|prompts?)\b"
    ),
    r"\bsystem (?:prompt|message|override|note|instruction)s?\b|[<\[|](?:system|im_start|inst)\b|^\W*system\s*:",
    r"\b(?:you are now|you must (?:now )?(?:answer|say|reply|respond|write|output)|act as an?)\b",
    (
        r"\b(?:answer|reply|respond|output|say|state|write)\b.{0,20}"
        r"\b(?:only|exactly|instead|with the words?|that the answer is)\b"
    ),
    (
        r"\b(?:language model|chatbot|ai assistant|llm)s?\b.{0,60}"
        r"\b(?:must|should|shall|has to|have to|answer|reply|say|write)\b"
    ),
    # German, French, Spanish, Italian, Portuguese, Dutch, Polish.
    (
        r"\b(?:ignorier\w*|missacht\w*|vergiss|vergessen sie)\b.{0,60}"
        r"\b(?:anweisung\w*|oben|bisherig\w*|vorherig\w*|obig\w*|regeln|alles)\b"
    ),
    r"\b(?:antworte|antworten sie)\b.{0,30}\b(?:nur|stattdessen|ausschließlich|mit)\b",
    r"\b(?:ignore[rz]?|oublie[rz]?)\b.{0,60}\b(?:instructions?|consignes?|précédentes?|ci-dessus|tout)\b",
    r"\b(?:réponds|répondez)\b.{0,30}\b(?:seulement|uniquement|que|plutôt|par)\b",
    r"\b(?:ignora|ignore|olvida|olvide)\b.{0,60}\b(?:instrucciones|anterior\w*|arriba|todo|instruções|acima)\b",
    r"\b(?:responde|responda)\b.{0,30}\b(?:solo|sólo|únicamente|que|en su lugar|apenas|com)\b",
    r"\b(?:ignora|dimentica)\b.{0,60}\b(?:istruzioni|precedent\w*|sopra|tutto)\b",
    r"\b(?:negeer|vergeet)\b.{0,60}\b(?:instructies|vorige|bovenstaande|alles)\b",
    r"\b(?:zignoruj|pomiń)\b.{0,60}\b(?:instrukcj\w*|poprzedni\w*|powyższ\w*)\b",
    # Russian, Chinese, Japanese, Korean, Arabic, Hindi, Thai.
    r"(?:игнорируй\w*|забудь\w*).{0,60}(?:инструкц|предыдущ|выше|правил)",
    r"(?:忽略|无视|無視|忘记|忘掉).{0,20}(?:以上|上述|之前|先前|所有|指令|指示|说明)",
    r"(?:上記|以前|これまで|すべて).{0,20}(?:指示|命令|ルール).{0,10}(?:無視|忘れ)",
    r"(?:이전|위의|모든).{0,20}(?:지시|명령|지침).{0,10}(?:무시|잊)",
    r"(?:تجاهل|انس).{0,40}(?:التعليمات|السابقة|أعلاه)",
    r"(?:पिछले|ऊपर|सभी).{0,30}(?:निर्देश).{0,20}(?:अनदेखा|नज़रअंदाज़|भूल)",
    r"(?:ละเว้น|เพิกเฉย|ไม่ต้องสนใจ).{0,40}(?:คำสั่ง|ข้างต้น|ก่อนหน้า)",
)
_ADDRESSED: Final = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS), re.IGNORECASE | re.DOTALL)
_UNSEEN: Final = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f]")


def addresses_a_model(text: str) -> bool:
    """Whether a text gives instructions to a language model; characters that are not seen are left out first."""
    return bool(_ADDRESSED.search(_UNSEEN.sub("", unicodedata.normalize("NFKC", text))))
