"""Short lines in the legacy encodings of their languages."""

# ruff: noqa: RUF001 - sentences in the languages themselves are what is tested

from __future__ import annotations

from typing import Final

import pytest

from kb.formats.legacy import ENCODINGS, legacy_encoding

# Lines as people write them into notes, by the encodings that their language was written in.
LINES: Final = {
    ("cp932", "euc_jp"): (
        "買い物：牛乳、卵、パン",
        "会議は十時",
        "田中さんに電話",
        "東京駅で待ち合わせ",
        "請求書 第三号",
        "カレーの作り方",
        "パスワードの変更",
        "合計 3,500円",
        "山田太郎 様",
        "鍵は玄関の下",
        "来週の予定",
        "データベース設計書",
        "ﾃｽﾄ ﾃﾞｰﾀ 一覧",
        "重要：締切は金曜日",
    ),
    ("gb18030",): (
        "明天上午十点开会",
        "买牛奶和面包",
        "张伟的电话号码",
        "服务器密码",
        "钥匙在门口",
        "会议纪要",
        "预算表 2024",
        "北京大学",
        "请假三天",
        "数据库设计",
        "晚上吃饺子",
    ),
    ("big5",): (
        "明天上午十點開會",
        "買牛奶和麵包",
        "陳先生的電話",
        "伺服器密碼",
        "鑰匙在門口",
        "會議紀錄",
        "預算表 2024",
        "臺灣大學",
        "請假三天",
        "資料庫設計",
    ),
    ("cp949",): (
        "내일 오전 회의",
        "우유와 빵 사기",
        "김 선생님 전화번호",
        "서버 비밀번호",
        "열쇠는 문 앞에",
        "회의록",
        "예산 2024",
        "서울대학교",
        "휴가 신청",
        "데이터베이스 설계",
    ),
    ("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic"): (
        "Купить молоко и хлеб",
        "Пароль от сервера",
        "Ключ под ковриком",
        "Встреча в пятницу",
        "Протокол собрания",
        "Телефон Анны",
        "Бюджет на 2024 год",
        "ЗАКАЗ №5",
        "Москва",
        "Отпуск в июле",
    ),
    ("cp1253", "iso8859_7"): (
        "Αγορά γάλα και ψωμί",
        "Κωδικός διακομιστή",
        "Το κλειδί είναι κάτω από το χαλί",
        "Συνάντηση την Παρασκευή",
        "Αθήνα",
        "Πρακτικά συνεδρίασης",
        "Τηλέφωνο της Άννας",
    ),
    ("cp1255", "iso8859_8"): (
        "לקנות חלב ולחם",
        "סיסמה לשרת",
        "המפתח מתחת לשטיח",
        "פגישה ביום שישי",
        "תל אביב",
        "פרוטוקול ישיבה",
        "הטלפון של אנה",
    ),
    ("cp1256", "iso8859_6"): (
        "شراء الحليب والخبز",
        "كلمة مرور الخادم",
        "المفتاح تحت السجادة",
        "اجتماع يوم الجمعة",
        "القاهرة",
        "رقم هاتف آنا",
    ),
    ("cp874",): (
        "ซื้อนมและขนมปัง",
        "รหัสผ่านเซิร์ฟเวอร์",
        "กุญแจอยู่ใต้พรม",
        "ประชุมวันศุกร์",
        "กรุงเทพ",
        "เบอร์โทรของแอนนา",
    ),
    ("cp1254",): (
        "Süt ve ekmek al",
        "Sunucu şifresi değişti",
        "Anahtar paspasın altında",
        "Cuma günü toplantı",
        "İstanbul’da buluşma",
        "Ağustos ayı bütçesi",
        "Işıklar söndü",
        "çiğ köfte",
    ),
    ("cp1250", "iso8859_2"): (
        "Kupić mleko i chleb, może żółty ser",
        "Hasło do serwera",
        "Klucz jest pod wycieraczką",
        "Spotkanie w środę",
        "Łódź i Kraków",
        "Koupit mléko a chléb",
        "Heslo k serveru je pod klávesnicí",
        "Příští schůzka v pondělí",
        "Kľúč je pod rohožkou",
        "Vásárolni tejet és kenyeret",
        "A kulcs a lábtörlő alatt van",
        "Őszi költségvetés, győri út",
        "Ključ je pod otiračem, ščurek",
        "Šolski urnik",
    ),
    ("cp1257", "iso8859_13"): (
        "Nupirkti pieno ir duonos, ąžuolas",
        "Raktas po kilimėliu, žinutė",
        "Susitikimas šeštadienį",
        "Nopirkt pienu un maizi, šķēres",
        "Atslēga zem paklāja",
        "Tapaamine täna õhtul",
    ),
    ("cp1252", "mac_roman", "cp850"): (
        "Schlüssel für die Garage",
        "Brötchen und Käse kaufen",
        "Größe der Straße",
        "Le café est fermé à Noël",
        "Ma clé est cachée",
        "Réunion à dix heures",
        "La contraseña del servidor",
        "mañana a las ocho, ¿vale?",
        "São Paulo, reunião amanhã",
        "Nyckeln ligger på hyllan",
        "Købe mælk og brød",
        "Lykilinn er undir mottunni",
        "Müller",
        "naïve résumé",
        "Grüße aus Köln",
        "Así es la vida, señor",
        "Ça va très bien",
        "Kjøp melk på lørdag",
        "Työ jää yöhön",
    ),
    ("cp1252",): (
        "“Smart” quotes – and €5",
        "price £5 and 20°C",
        "it’s 5 µm ± 0.1",
        "© 2024 Acme®",
        "Straße 5, 3½ Zimmer",
    ),
    ("cp1258",): ("Mua sua va banh mi cho Lâm đi",),
}
# How many of them are read right, of those in each encoding: what is missing are kanji without kana and single words.
_RIGHT: Final = 0.88


def test_short_lines_are_read_in_their_encoding() -> None:
    """A line of a few words is enough nearly always."""
    written = [
        (line.encode(encoding), line)
        for encodings, lines in LINES.items()
        for encoding in encodings
        for line in lines
        if _is_written(line, encoding)
    ]

    right = sum(data.decode(legacy_encoding(data) or "utf-8", "replace") == line for data, line in written)

    assert len(written) > 250
    assert right >= _RIGHT * len(written)


def test_half_width_kana_among_kanji_are_read() -> None:
    """In Shift-JIS they are single bytes, which are letters and lines of boxes in others."""
    for line in ("ｶﾀｶﾅ ﾃｽﾄ 在庫確認", "商品ｺｰﾄﾞ,数量\nﾘﾝｺﾞ,5"):
        assert legacy_encoding(line.encode("cp932")) == "cp932"


def _is_written(line: str, encoding: str) -> bool:
    try:
        return not line.encode(encoding).isascii()
    except UnicodeEncodeError:
        return False


def test_characters_without_a_meaning_rule_an_encoding_out() -> None:
    """A greeting in Thai is Chinese with a character of private use otherwise."""
    assert legacy_encoding("สวัสดีชาวโลก".encode("cp874")) == "cp874"


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        ("çiğ köfte", "cp1254"),
        ("ağaç", "cp1254"),
        ("güneş ışığı", "cp1254"),
        ("Það er gott veður", "cp1252"),
        ("þú ert með öl", "cp1252"),
        ("Привіт світе", "koi8-u"),
        ("Їжак біжить додому", "koi8-u"),
        ("Привет, мир", "koi8-r"),
        ("Grüße aus Köln", "cp850"),
        ("Müller grüßt", "cp850"),
    ],
)
def test_letters_of_few_languages(line: str, encoding: str) -> None:
    """Turkish and Icelandic letters have the same places, as have Ukrainian letters and boxes."""
    assert legacy_encoding(line.encode(encoding)) == encoding


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_long_text_is_read_in_its_encoding(encoding: str) -> None:
    """Where the sample ends within a line, and within a character, too."""
    line = next(
        " ".join(line for line in lines if _is_written(line, encoding))
        for encodings, lines in LINES.items()
        if {encoding.replace("-", "_"), encoding} & {*encodings} or encoding in _ALSO.get(encodings[0], ())
    )
    for start in range(2):
        text = "a" * start + line * 400

        assert text.encode(encoding).decode(legacy_encoding(text.encode(encoding)) or "utf-8", "replace") == text


# Codecs of Python that contain the ones above.
_ALSO: Final = {"cp932": ("euc_jis_2004",), "big5": ("big5hkscs",)}
