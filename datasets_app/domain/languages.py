"""Languages that a text is told apart by, with the commonest words of those that share a script."""

from enum import IntEnum


class Language(IntEnum):
    """As the language kernel numbers them (engine/native/words_language.c)."""

    UNKNOWN = 0
    CODE = 1
    EN = 2
    DE = 3
    FR = 4
    ES = 5
    IT = 6
    PT = 7
    NL = 8
    PL = 9
    RU = 10
    UK = 11
    AR = 12
    ZH = 13
    JA = 14
    KO = 15
    HI = 16
    TR = 17
    TH = 18
    EL = 19
    HE = 20
    OTHER = 21


NAMES = {
    Language.UNKNOWN: "not told",
    Language.CODE: "code",
    Language.EN: "English",
    Language.DE: "German",
    Language.FR: "French",
    Language.ES: "Spanish",
    Language.IT: "Italian",
    Language.PT: "Portuguese",
    Language.NL: "Dutch",
    Language.PL: "Polish",
    Language.RU: "Russian",
    Language.UK: "Ukrainian",
    Language.AR: "Arabic",
    Language.ZH: "Chinese",
    Language.JA: "Japanese",
    Language.KO: "Korean",
    Language.HI: "Hindi",
    Language.TR: "Turkish",
    Language.TH: "Thai",
    Language.EL: "Greek",
    Language.HE: "Hebrew",
    Language.OTHER: "another language",
}

# Chosen so that each language has many of its own; a word that several share votes for all of them.
COMMON_WORDS: dict[Language, str] = {
    Language.EN: (
        "the of and to in is that it for was on are with as be this have from or by not but what all were when your "
        "can there an which their how you will do if we they would about my has he she his her at i please should"
    ),
    Language.DE: (
        "der die das und ist in den von zu mit sich des auf für nicht ein eine einen einem einer als auch es an "
        "werden aus er sie hat dass nach bei um am sind noch wie über so nur oder aber vor zur bis mehr durch man ich "
        "wir wird kann mein meine was wo bitte haben im dem"
    ),
    Language.FR: (
        "le la les de des et est un une du en que qui dans pour pas sur au avec ce se il elle ne par plus sont vous "
        "nous je mais ou où être cette ces aux comme tout ont votre mon ma mes son sa ses leur quel quelle comment l "
        "d c qu n s j"
    ),
    Language.ES: (
        "el la los las de que y en un una por con no es para se lo del al como más pero sus su le ya o este sí porque "
        "esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos ni qué cómo está mi son ser "
        "tiene puede"
    ),
    Language.IT: (
        "il lo la gli le di che e è un una per in non con del della dei delle si da come più ma al anche sono alla "
        "nel nella ha questo questa ci io mi o se dal cosa perché quando molto essere ho mio puoi quale i"
    ),
    Language.PT: (
        "o a os as de que e do da em um uma para com não é por mais dos das no na se como mas ao ele foi seu sua ou "
        "quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo você são está meu minha qual "
        "posso"
    ),
    Language.NL: (
        "de het een en van ik te dat die in is niet zijn op aan met als voor er maar om hem dan zou wat mijn men dit "
        "zo door over bij ook tot je naar heeft hebben deze want nog zal wij worden kan hoe waar geen of uit wordt"
    ),
    Language.PL: (
        "i w na z się nie do to jest że o a jak po co tak za od czy przez był dla tym ale przy może tego tylko jego "
        "są być już ich oraz który która które gdzie mnie ten ta te ze bez mam moje mój jej proszę"
    ),
    Language.RU: (
        "и в не на я что он с как это по но они мы она из у за вы так же от все бы мне было вот о только меня еще нет "
        "ли если или к до для уже когда мой можно где ваш есть при это чтобы который какой"
    ),
    Language.UK: (
        "і в не на я що він з як це по але вони ми вона із у за ви так же від все би мені було о тільки мене ще немає "
        "чи якщо або до для вже коли мій можна де ваш є при щоб який яка та й про також"
    ),
    Language.TR: (
        "ve bir bu da de için ile çok daha ne gibi kadar ben sen o biz var yok değil mi mı ama olan olarak en sonra "
        "her şey nasıl bana benim neden nerede hangi veya ya ki göre olduğunu"
    ),
}
