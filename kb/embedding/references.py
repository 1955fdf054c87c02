"""Reference data for verifying models: published cosines, and sample texts for comparing two forms of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.embedding.locate import BGE_M3, BUNDLED

if TYPE_CHECKING:
    from kb.embedding.spec import Located
    from kb.embedding.tokens import ModelTokens

# Published cosines, which identify the original weights.

QUESTION: Final = "Which planet is known as the Red Planet?"
ANSWERS: Final = (
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
)
# From sentence-transformers' tests of published models (tests/sentence_transformer/test_pretrained.py), computed in
# bfloat16, so they may differ by 0.01.
GOLDEN: Final[dict[str, tuple[float, ...]]] = {
    BGE_M3: (0.41025, 0.71249, 0.64761, 0.65188),
    BUNDLED: (0.46371, 0.81205, 0.72828, 0.75051),
}
TOLERANCE: Final = 0.01


def golden_of(located: Located) -> tuple[float, ...] | None:
    """The published cosines of a model, or None."""
    return GOLDEN.get(located.name) if located.published else None


# Sentences in many languages and scripts.
SENTENCES: Final = (
    "Backups of the notes go to the disk in the cellar every night at three.",
    "Die Sicherungen der Notizen landen jede Nacht um drei auf der Platte im Keller, außer sonntags.",
    "Les sauvegardes des notes partent chaque nuit à trois heures vers le disque de la cave.",
    "Las copias de las notas van cada noche a las tres al disco del sótano, ¿verdad?",
    "Резервные копии заметок каждую ночь в три часа уходят на диск в подвале.",
    "笔记的备份每天凌晨三点存到地下室的硬盘上。",
    "ノートのバックアップは毎晩三時に地下室のディスクへ保存されます。",
    "노트 백업은 매일 밤 세 시에 지하실 디스크로 갑니다.",
    "تُحفظ نسخ الملاحظات كل ليلة في الثالثة على القرص في القبو.",
    "नोट्स की प्रतियाँ हर रात तीन बजे तहखाने की डिस्क पर जाती हैं।",
    "Τα αντίγραφα των σημειώσεων πάνε κάθε νύχτα στον δίσκο.",  # noqa: RUF001 - Greek
    "סיבובי הגיבוי של הרשימות נשמרים כל לילה בשלוש על הדיסק במרתף.",
    "def backup(notes: Path, target: Path) -> None:\n    shutil.copytree(notes, target / f'{date.today()}')",
    "| when | what |\n|---|---|\n| 03:00 | rsync -a notes/ /mnt/cellar/ |\n",
    "x",
    "2026-11-25T03:00:00Z 192.168.178.20 \N{EURO SIGN}42.50 (+17 %) \N{FLOPPY DISK}",
)
_LONGEST: Final = 384


def sample_texts(tokens: ModelTokens) -> list[str]:
    """The sentences, and combinations of them up to the model's limit or 384 tokens."""
    texts = list(SENTENCES)
    most = min(tokens.limit, _LONGEST)
    for start in range(0, len(SENTENCES), 3):
        run = ""
        for step in range(len(SENTENCES)):
            longer = f"{run}\n{SENTENCES[(start + step) % len(SENTENCES)]}"
            if tokens.count([longer])[0] > most:
                break
            run = longer
            if step in {1, 4}:
                texts.append(run)
        texts.append(run or "x")
    return texts
