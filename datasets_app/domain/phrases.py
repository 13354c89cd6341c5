"""How answers say no: that they do not know, will not, must ask back, or hand over to a person; in several languages.

Small letters; where a language writes the first word with a capital beyond ASCII, the phrase begins behind it.
"""

from functools import cache

_NEGATIVE = """
i don't know|i don’t know|i do not know|i'm not sure|i’m not sure|i am not sure|i'm sorry, but|i’m sorry, but
i am sorry, but|i cannot|i can't|i can’t|i'm unable|i’m unable|i am unable|i'm not able|i won't|i won’t|not able to help
cannot help with|can't help with|could you please provide|could you clarify|could you tell me which|please clarify
do you mean|i need more information|which of the two|not enough information|there is no information|no information about
not covered by|outside of what i|please contact|please reach out to|speak to a human|speak with a human
hand you over|hand this over|forward you to|forward this to|pass this on to|pass you on to|escalat
transfer you to|connect you with|a colleague will|our support team
ich weiß es nicht|ich weiß nicht|weiß ich nicht|ich weiss nicht|ich bin nicht sicher|ich bin mir nicht sicher
kann ich nicht|ich kann nicht|ich kann das nicht|ich kann ihnen dabei nicht|leider kann ich|leider nicht|tut mir leid
können sie genauer|könnten sie bitte|meinen sie|dazu habe ich keine|keine informationen
wenden sie sich an|leite sie weiter|leite das weiter|leite ich weiter|verbinde sie|an einen kollegen|an eine kollegin
je ne sais pas|je ne peux pas|je ne suis pas en mesure|je ne suis pas sûr|je suis désolé|désolé, |désolée,
pourriez-vous préciser|pouvez-vous préciser|voulez-vous dire|veuillez contacter|je vous transfère|je transmets
no lo sé|no sé |no puedo|no estoy segur|lo siento|podría aclarar|puede aclarar|se refiere a|póngase en contacto
le transfiero|le paso con
non lo so|non posso|non sono sicur|mi dispiace|potrebbe specificare|si rivolga|não sei|não posso|não tenho certeza
lamento|desculpe|entre em contacto|entre em contato|ik weet het niet|ik kan niet|ik weet niet|helaas kan ik
neem contact op|nie wiem|nie mogę|przykro mi|proszę o kontakt|jag vet inte|jag kan inte|det vet jag inte|en tiedä
jeg ved ikke|jeg vet ikke
не знаю|не могу|к сожалению|извините|уточните|обратитесь|переведу вас|передам
我不知道|不知道|不清楚|无法|不能|抱歉|对不起|请问您|请联系|转接|转给|わかりません|分かりません|できません|申し訳|お問い合わせ
모르겠|할 수 없|죄송|문의해|لا أعرف|لا أعلم|لا يمكنني|آسف|bilmiyorum|üzgünüm|नहीं जानता|माफ़|क्षमा करें
"""


@cache
def negative() -> tuple[str, ...]:
    phrases = (phrase for line in _NEGATIVE.strip().splitlines() for phrase in line.split("|"))
    return tuple(sorted(set(phrases)))
