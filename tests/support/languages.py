"""Reviews in Chinese and German, made by small grammars.

The main clause of a review, which comes first or last, gives its label. Half of the reviews also
have a concession of the other class, and a third of the adjectives are negated, so counting words
does not give the label.
"""

import random

from lstm_sentiment.data.columns import Review

CHINESE = {
    "topics": "剧情 演员 音乐 画面 结局 台词 导演 节奏 特效 配音 服装 摄影 主角 故事 开头".split(),
    "owners": "这部电影的 这部片子的 该片的 整部影片的 这部作品的 里面的 他们的 全片的".split(),
    "degrees": "真的 确实 实在 的确 明显 显然 从头到尾都 让人觉得".split(),
    "good": "精彩 感人 动人 出色 优秀 有趣 自然 流畅 迷人 细腻 震撼 完美 好看 用心 深刻".split(),
    "bad": "无聊 乏味 糟糕 拖沓 混乱 老套 生硬 做作 粗糙 平庸 虚假 难看 空洞 俗气 敷衍".split(),
}
GERMAN = {
    "topics": "die Handlung;die Musik;die Kamera;das Ende;der Schnitt;die Besetzung;das Drehbuch;"
    "die Regie;der Hauptdarsteller;die Ausstattung;der Anfang;die Tricktechnik".split(";"),
    "degrees": "wirklich;meiner Meinung nach;durchaus;offen gesagt;insgesamt".split(";"),
    "good": "spannend gelungen rührend großartig glaubwürdig überzeugend schön fesselnd originell "
    "stimmig unterhaltsam präzise".split(),
    "bad": "langweilig misslungen öde schlecht lächerlich enttäuschend hässlich zäh einfallslos "
    "wirr überflüssig schlampig".split(),
}

NEGATED = 1 / 3


def chinese(count: int, seed: int) -> list[Review]:
    """Return reviews such as 虽然该片的音乐确实精彩，但是他们的剧情真的不有趣。"""
    draw = random.Random(seed)

    def clause(is_praise: bool) -> str:
        owner, topic, degree = (draw.choice(CHINESE[n]) for n in ("owners", "topics", "degrees"))
        negated = draw.random() < NEGATED
        adjective = draw.choice(CHINESE["good" if is_praise != negated else "bad"])
        return f"{owner}{topic}{degree}{'不' if negated else '很'}{adjective}"

    reviews = []
    for number in range(count):
        label = number % 2
        main, other = clause(label == 1), clause(label == 0)
        forms = (main, main, f"{main}，尽管{other}", f"虽然{other}，但是{main}")
        reviews.append(Review(f"{draw.choice(forms)}。", label))
    return reviews


def german(count: int, seed: int) -> list[Review]:
    """Return reviews such as `Obwohl die Musik durchaus schön war, fand ich das Ende nicht öde.`"""
    draw = random.Random(seed)

    def parts(is_praise: bool) -> tuple[str, str]:
        topic, degree = draw.choice(GERMAN["topics"]), draw.choice(GERMAN["degrees"])
        negated = draw.random() < NEGATED
        adjective = draw.choice(GERMAN["good" if is_praise != negated else "bad"])
        return topic, f"{degree} {'nicht ' if negated else ''}{adjective}"

    reviews = []
    for number in range(count):
        label = number % 2
        (topic, quality), (other, contrary) = parts(label == 1), parts(label == 0)
        main = f"{topic} fand ich {quality}"
        forms = (
            *(main, main, f"{main}, obwohl {other} {contrary} war"),
            f"obwohl {other} {contrary} war, fand ich {topic} {quality}",
        )
        text = draw.choice(forms)
        reviews.append(Review(f"{text[0].upper()}{text[1:]}.", label))
    return reviews
