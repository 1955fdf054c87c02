"""The texts that int8 is calibrated on: what people keep as notes, in several languages, as passages of kb look.

Another text changes the int8 vectors of all models, so ``INT8`` in ``onnx_files`` has to be increased with it. None
of them is among those that an export is compared on (``references``).
"""

# ruff: noqa: RUF001 - languages with other scripts

from __future__ import annotations

from typing import Final

TEXTS: Final = (
    """Backups > Restore

To bring a folder back, list the snapshots first and take the newest one from before the mistake:

```bash
restic -r sftp:box:/srv/backup snapshots --tag home
restic -r sftp:box:/srv/backup restore 4f1c2a9b --target /tmp/restored --include /home/ida/notes
```

Check two or three files by hand, then copy them over. The repository password is in the safe, not on this
machine.""",
    """SQLite > Write-ahead log

In WAL mode readers do not block the writer and the writer does not block readers. The log grows until a checkpoint; a
long-running read transaction keeps the checkpoint from finishing, so the file can become larger than the database
itself. `PRAGMA wal_checkpoint(TRUNCATE)` shrinks it. Not for network drives: the shared-memory file needs one
machine.""",
    """Team meeting, 14 March

- Present: Ines, Tom, Farid. Absent: Lena (ill)
- The release moves to Thursday because the migration on staging took 40 minutes instead of five
- Tom writes to the customer about the invoice of February, EUR 1,240.50
- [ ] Farid: order two disks (8 TB), ask for the price with a five-year warranty
- [x] Ines: rota for Easter

Next time we decide whether the old wiki is switched off.""",
    """Bread with rye and seeds

500 g rye flour, 200 g wheat flour, 14 g salt, 150 g sourdough starter, 480 ml lukewarm water, a handful of sunflower
seeds. Mix in the evening, cover and leave overnight at about 20 degrees. In the morning fold it once, let it rest for
an hour in the tin and bake for 50 minutes: 15 at 240 °C with steam, then 200 °C. It is done when it sounds
hollow.""",
    """Heat transfer in a laminar boundary layer

The temperature distribution along a flat plate in a compressible flow is obtained by integrating the energy equation
for a Prandtl number of one. It is shown that the recovery factor depends weakly on the Mach number, and that suction
at the wall delays transition to turbulence. The calculated skin friction agrees with measurements within four per
cent up to a Reynolds number of two million.""",
    """def read_lines(path: Path, limit: int = 1000) -> Iterator[str]:
    \"\"\"Yield the lines of a file without their ends, at most `limit` of them.\"\"\"
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream):
            if number >= limit:
                logger.warning("%s has more than %d lines", path, limit)
                return
            yield line.rstrip("\\n")


class Cache(dict[str, int]):
    def __missing__(self, key: str) -> int:
        self[key] = value = len(key)
        return value
""",
    """Kubernetes > Pods that do not start

| symptom | first look | usual cause |
|---|---|---|
| ImagePullBackOff | kubectl describe pod | wrong tag, or no secret for the registry |
| CrashLoopBackOff | kubectl logs --previous | the program ends; read its last line |
| Pending | kubectl get events | no node has enough memory |

A pod that is terminating for minutes waits for a finalizer or for a volume that cannot be detached.""",
    """Bewässerung im Garten

Die Tomaten bekommen morgens Wasser, nie abends, sonst bleibt das Laub über Nacht feucht und die Braunfäule kommt. Im
Juli reichen zwei Kannen je Pflanze und Woche, bei über dreißig Grad das Doppelte. Die Regentonne fasst 300 Liter und
ist nach einem Gewitter voll. Rechnung für die Pumpe: 89,90 €, Garantie bis März 2027.""",
    """Réunion des parents d'élèves

La sortie au musée aura lieu le 6 juin ; le car part à 8 h 15 devant la mairie. Il faut une autorisation signée, un
pique-nique et une gourde. Les enfants qui ne viennent pas restent en permanence avec Mme Girard. Le voyage coûte
douze euros, à remettre dans une enveloppe au nom de l'élève.""",
    """El descubrimiento de la tumba

La expedición llegó al valle en noviembre de 1922 y encontró los primeros escalones bajo los restos de unas cabañas de
obreros. La cámara contenía más de cinco mil objetos, entre ellos tres lechos dorados y varios carros desmontados. El
arqueólogo tardó diez años en catalogarlos todos, y buena parte se conserva hoy en El Cairo.""",
    """Резервное копирование базы данных

Каждую ночь сервер выгружает базу в отдельный файл, сжимает его и отправляет на второй компьютер. Раз в месяц копию
разворачивают на тестовой машине, чтобы убедиться, что она читается. Пароль хранится в сейфе, а не рядом с копией.""",
    """上海旅行笔记

早上九点从虹桥站出发，坐地铁十号线到豫园，门票四十元。午饭在城隍庙吃小笼包，排队半个小时。下午参观上海博物馆，青铜器展厅在一楼，
瓷器在二楼。晚上沿外滩散步，对岸的灯光十点熄灭。第二天下雨，改去图书馆看书。""",
    """サーバーの設定メモ

毎朝六時に証明書の期限を確認する。残りが十四日を切ったら自動で更新し、失敗した場合は管理者にメールを送る。ログは
/var/log/renew.log に書き、三十日で消す。更新のあとは nginx を再読み込みするだけで、再起動は要らない。""",
    """การตั้งค่าเครื่องพิมพ์ในสำนักงาน

เครื่องพิมพ์อยู่ชั้นสามข้างห้องประชุม ต้องติดตั้งไดรเวอร์ก่อนแล้วจึงเพิ่มที่อยู่ของเครื่อง
ถ้าพิมพ์ไม่ออกให้ตรวจสอบกระดาษและสายเครือข่าย หมึกสำรองเก็บไว้ในตู้ใต้โต๊ะ
และต้องแจ้งฝ่ายธุรการเมื่อเหลือกล่องสุดท้าย""",
    """ملاحظات عن رحلة إلى مراكش

وصلنا إلى المدينة القديمة مساءً، وكان السوق مفتوحاً حتى منتصف الليل. ثمن الغرفة أربعون يورو مع الفطور. في اليوم التالي
زرنا حديقة ماجوريل وقصر الباهية، ثم شربنا الشاي بالنعناع على سطح يطل على الساحة.""",
    """घर के बिजली के बिल का हिसाब

जून में 240 यूनिट और जुलाई में 310 यूनिट खर्च हुए, क्योंकि कूलर दिन भर चलता रहा। बिल की आखिरी तारीख पंद्रह अगस्त है।
मीटर की फोटो फोल्डर में रखी है और भुगतान की रसीद ईमेल में आई है।""",
    """Quarterly results > Liquidity

Net revenue for the three months ended June 30 was $1,482 million, compared with $1,397 million in the prior-year
period, an increase of 6 percent driven by higher unit volumes in North America and partly offset by unfavorable
exchange rates. Cash and cash equivalents were $612 million. We believe that existing cash, together with the
revolving credit facility, will be sufficient to meet our obligations for at least the next twelve months.""",
    """The
river had risen in the night. When she opened the shutters the meadow was gone, and where the fence had been, a row of
posts stood in brown water like the teeth of a comb. Nobody spoke at breakfast. Her uncle went out twice to look at
the boat, came back twice and sat down without taking off his coat. "It will be over the road by noon," he said at
last.""",
    """git > Undo

* Last commit, keep the changes: `git reset --soft HEAD~1`
* A file as it was in the last commit: `git restore notes.md`
* A commit that others have: `git revert 9f8e7d6`
* What was thrown away yesterday: `git reflog`, then `git switch -c found HEAD@{3}`

Never push --force to a branch that other people use; --force-with-lease at least looks first.""",
    """What is the difference between a process and a thread?

Threads of a process share its memory and its open files; processes share neither unless they ask for it. A thread
starts in microseconds, a process in milliseconds. A crash in one thread ends them all.""",
    """2026-02-11T08:14:55Z ERROR worker-3 connection reset by peer (10.0.4.17:5432), retry 2 of 5 in 800 ms
2026-02-11T08:14:56Z INFO worker-3 reconnected, 1,204 rows copied, 17 skipped
2026-02-11T08:15:02Z WARN scheduler job nightly-report took 94.2 s, limit 60 s
{"level": "info", "job": "nightly-report", "rows": 88213, "ok": true, "tags": ["etl", "eu-west-1"]}""",
    """Vaccination and immunity

Vaccines train the immune system by showing it a harmless part of a pathogen. After the second dose the number of
antibodies rises within a week and then falls slowly, while memory cells remain for years. In a trial with 4,100
participants the vaccine prevented 82 % of severe cases; fever and a sore arm were the most common side effects.""",
    """Keyboard shortcuts

Ctrl+K search; Ctrl+Shift+P palette; F2 rename; Alt+Up/Down move a line; Ctrl+` terminal""",
    "Dentist on Tuesday at 9:40, bring the insurance card.",
)
