"""The words by which an answer says which of two numbers is larger, in each language: patterns, case folded.

greater, smaller: what compares (also newer, later, dearer; older, earlier, cheaper). than: stands before the
number that is compared with; than_after: behind it, as Hindi has it. no: denies. both: joins two numbers
into a pair that is only mentioned. first, second: name a number by its place in the question.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Alternatives of a regular expression, one text for each use; an empty one never matches."""

    greater: str
    smaller: str
    than: str
    no: str
    both: str
    first: str
    second: str
    than_after: str = ""


WORDS = {
    "en": Words(
        greater=r"\b(?:larg|bigg|great|high|new|lat)er\b|\b(?:larg|bigg|great|high|new|lat)est\b"
        r"|\bmore (?:expensive|recent)"
        r"|\bcosts more|\bis more\b|\bexceeds\b|\bcomes after\b|\bis after\b",
        smaller=r"\b(?:small|low|old|earli)(?:er|est)\b|\bless(?:er)?\b|\bcheaper\b|\bcomes before\b|\bis before\b",
        than=r"\bthan|\bexceeds|\b(?:comes|is) (?:after|before)|\bcompared (?:to|with)",
        no=r"\bnot\b|n['’]t\b|\bcannot\b|\bno(?= \w+er\b)|\bnever\b|\brather than\b|\binstead of\b",
        both=r"and|or|vs\.?|versus",
        first=r"\bthe first (?:one|number|value)|\bthe former\b",
        second=r"\bthe second (?:one|number|value)|\bthe latter\b",
    ),
    "id": Words(
        greater=r"\blebih (?:besar|tinggi|mahal|baru|akhir|lambat)|\bter(?:besar|tinggi|baru|mahal)|\bmelebihi\b",
        smaller=r"\blebih (?:kecil|rendah|murah|lama|awal|dulu)|\bter(?:kecil|rendah|lama|murah)",
        than=r"\bdaripada|\bdari(?: pada)?|\bdibanding(?:kan)?(?: dengan)?|\bmelebihi",
        no=r"\bbukan(?:lah)?\b|\btidak\b|\btak\b",
        both=r"dan|atau",
        first=r"\b(?:bilangan|angka|yang) pertama\b",
        second=r"\b(?:bilangan|angka|yang) kedua\b",
    ),
    "es": Words(
        greater=r"\bmayor\b|\bmás (?:grande|alt[oa]|nuev[oa]|reciente|car[oa]|tarde)"
        r"|\bcuesta más|\bsuperior\b|\bposterior\b|\bsupera\b",
        smaller=r"\bmenor\b|\bmás (?:pequeñ[oa]|baj[oa]|antigu[oa]|viej[oa]|barat[oa]|temprano)"
        r"|\bcuesta menos|\binferior\b"
        r"|\banterior\b",
        than=r"\bque(?: el| la)?|(?<=mayor )a|(?<=menor )a|(?<=superior )a"
        r"|(?<=inferior )a|(?<=posterior )a|(?<=anterior )a"
        r"|\bsupera a",
        no=r"\bno\b|\ben (?:vez|lugar) de\b|\bnunca\b",
        both=r"y|o|e",
        first=r"\bel primer(?:o| número)?\b|\bla primera\b",
        second=r"\bel segundo(?: número)?\b|\bla segunda\b",
    ),
    "de": Words(
        greater=r"\bgrößer(?:e[rn]?)?\b|\bgrösser(?:e[rn]?)?\b|\bhöher(?:e[rns]?)?\b"
        r"|\bneuer(?:e[rn]?)?\b|\bspäter(?:e[rns]?)?\b"
        r"|\bteurer\b|\bmehr\b|\bgrößte\b|\bübersteigt\b|\bliegt nach\b|\bkommt nach\b",
        smaller=r"\bkleiner(?:e[rn]?)?\b|\bniedriger(?:e[rn]?)?\b|\bälter(?:e[rn]?)?\b"
        r"|\bfrüher(?:e[rns]?)?\b|\bbilliger\b"
        r"|\bgeringer\b|\bweniger\b|\bliegt vor\b|\bkommt vor\b",
        than=r"\bals(?: die| der)?|\bübersteigt|\b(?:liegt|kommt) (?:nach|vor)",
        no=r"\bnicht\b|\bkeine?\b|\bstatt\b|\bkeineswegs\b",
        both=r"und|oder",
        first=r"\bdie erste(?: zahl)?\b|\bdie erstere\b",
        second=r"\bdie zweite(?: zahl)?\b|\bdie letztere\b",
    ),
    "fr": Words(
        greater=r"\bplus (?:grande?|élevée?|récente?|nouvelle|tard|cher|chère)\b"
        r"|\bsupérieure?\b|\bpostérieure?\b|\bcoûte plus\b"
        r"|\bdépasse\b",
        smaller=r"\bplus (?:petite?|basse?|bas|ancienne?|tôt|vieille)\b|\binférieure?\b"
        r"|\bantérieure?\b|\bmoins (?:cher|chère|grande?)"
        r"|\bcoûte moins\b",
        than=r"\bque|\bqu'|(?<=supérieur )à|(?<=supérieure )à|(?<=inférieur )à|(?<=inférieure )à|(?<=postérieure )à"
        r"|(?<=antérieure )à|\bdépasse",
        no=r"\bpas\b|\bnon\b|\bau lieu de\b|\bplutôt que\b",
        both=r"et|ou",
        first=r"\ble premier(?: nombre)?\b|\bla première\b",
        second=r"\ble (?:second|deuxième)(?: nombre)?\b|\bla (?:seconde|deuxième)\b",
    ),
    "ru": Words(
        greater=r"\bбольш(?:е|ее|ая|ий|им|ей)\b|\bвыше\b|\bнове(?:е|йшая)\b|\bпозже\b"
        r"|\bпоздн(?:ее|яя)\b|\bдороже\b|\bпревышает\b"
        r"|\bидёт после\b",
        smaller=r"\bменьш(?:е|ее|ая|ий|им|ей)\b|\bниже\b|\bстарее\b|\bстарше\b|\bраньше\b|\bдешевле\b",
        than=r"\bчем|\bпревышает|\bпосле",
        no=r"\bне\b|\bнет\b|\bвместо\b",
        both=r"и|или",
        first=r"\bперв(?:ое|ая)(?: число)?\b",
        second=r"\bвтор(?:ое|ая)(?: число)?\b",
    ),
    "zh": Words(
        greater=r"较大|更大|最大|大于|比较大|更高|较高|高于|更新|较新|更贵|更晚|较晚|晚于|大(?!小|约|概)|超过",
        smaller=r"较小|更小|最小|小于|更低|较低|低于|更旧|较旧|更便宜|更早|较早|早于|小(?!数|于|时)",
        than=r"比|大于|小于|高于|低于|晚于|早于|超过|没有|不如",
        no=r"不是|并非|而不是|不(?=[大小比])|没有(?!⟨)|(?=没有⟨|不如⟨)",
        both=r"和|与|或|还是|跟|、",
        first=r"第一个(?:数)?|前者",
        second=r"第二个(?:数)?|后者",
    ),
    "ar": Words(
        greater=r"أكبر|اكبر|أعلى|اعلى|أحدث|احدث|أغلى|اغلى|متأخر|يتجاوز|يأتي بعد",
        smaller=r"أصغر|اصغر|أقل|اقل|أدنى|أقدم|اقدم|أرخص|مبكر|يأتي قبل",
        than=r"(?<!\w)من|يتجاوز|يأتي (?:بعد|قبل)",
        no=r"(?<!\w)(?:ليس|ليست|لا|وليس|غير|بدلا من)(?!\w)",
        both=r"و|أو|أم",
        first=r"العدد الأول|الرقم الأول|الأول(?!\w)",
        second=r"العدد الثاني|الرقم الثاني|الثاني(?!\w)",
    ),
    "hi": Words(
        greater=r"बड़[ाीे]|बड़[ाीे]|ज़्यादा|ज्यादा|अधिक|ऊँच[ाीे]|नय[ाीे]|नई|महँग[ाीे]|महंग[ाीे]|बाद में",
        smaller=r"छोट[ाीे]|कम(?!\w)|नीच[ाीे]|पुरान[ाीे]|सस्त[ाीे]|पहले(?! वाली| संख्या)",
        than="",
        no=r"नहीं|न कि",
        both=r"और|या|व",
        first=r"पहली (?:संख्या|वाली)",
        second=r"दूसरी (?:संख्या|वाली)",
        than_after=r"से|की तुलना में|के मुकाबले",
    ),
}
