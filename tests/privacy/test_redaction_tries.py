"""Tests: a hundred tries in five languages to write personal data past the redaction, and what they imitate.

Each try says what it does, the comment, and what is left of it. The numbers are published specimens.
"""

import pytest

from streamer.privacy.redaction import redact_text

TRIES = {
    "en": (
        (
            "a card parted by line ends",
            "my card 4111\n1111\n1111\n1111 was charged twice",
            "my card [card] was charged twice",
        ),
        ("a card parted by tabs", "card\t5500\t0000\t0000\t0004\tplease", "card\t[card]\tplease"),
        ("a card parted by low lines", "it is 4111_1111_1111_1111 again", "it is [card] again"),
        ("a card parted by stars", "it is 4111*1111*1111*1111 again", "it is [card] again"),
        ("a card parted by colons", "it is 4111:1111:1111:1111 again", "it is [card] again"),
        ("a card parted by commas and blanks", "it is 4111, 1111, 1111, 1111 again", "it is [card] again"),
        ("an American Express card parted by slashes", "it is 3782/822463/10005 again", "it is [card] again"),
        ("a card digit by digit, parted by stars", "4*1*1*1*1*1*1*1*1*1*1*1*1*1*1*1 thanks", "[card] thanks"),
        ("an account parted by dots", "pay GB82.WEST.1234.5698.7654.32 now", "pay [iban] now"),
        ("an account over two lines", "pay GB82 WEST 1234\n5698 7654 32 now", "pay [iban] now"),
        ("a quoted name", 'write to "ann smith"@example.org today', "write to [email] today"),
        ("blanks around all signs", "write to ann @ example . org today", "write to [email] today"),
        ("(at) and (dot)", "write to ann (at) example (dot) org today", "write to [email] today"),
        ("an encoded @", "write to ann%40example.org today", "write to [email] today"),
        ("words for both signs", "write to ann at example dot com today", "write to [email] today"),
        ("an HTML entity", "write to ann&#64;example.org today", "write to [email] today"),
        ("a letter O for the first digit", "ring O7700 900123 at night", "ring [phone] at night"),
        ("a number parted by low lines", "ring 212_555_0123 at night", "ring [phone] at night"),
        ("an insurance number parted by low lines", "NI AB_12_34_56_C is mine", "NI [id] is mine"),
        ("keycaps", "ring 0️⃣7️⃣7️⃣0️⃣0️⃣9️⃣0️⃣0️⃣1️⃣2️⃣3️⃣ now", "ring [phone] now"),
    ),
    "es": (
        (
            "a card parted by line ends",
            "mi tarjeta 4111\r\n1111\r\n1111\r\n1111 no va",
            "mi tarjeta [card] no va",
        ),
        ("a card parted by tabs", "tarjeta 5500\t0000\t0000\t0004 no va", "tarjeta [card] no va"),
        ("a card parted by low lines", "la 5500_0000_0000_0004 no va", "la [card] no va"),
        ("a card parted by stars", "la 5500*0000*0000*0004 no va", "la [card] no va"),
        ("a card parted by colons", "la 5500:0000:0000:0004 no va", "la [card] no va"),
        ("a card parted by commas", "la 5500,0000,0000,0004 no va", "la [card] no va"),
        ("a card parted by spaced dashes", "la 5500 – 0000 – 0000 – 0004 no va", "la [card] no va"),
        (
            "an account parted by dots",
            "cuenta ES91.2100.0418.4502.0005.1332 gracias",
            "cuenta [iban] gracias",
        ),
        (
            "an account parted by low lines",
            "cuenta ES91_2100_0418_4502_0005_1332 gracias",
            "cuenta [iban] gracias",
        ),
        (
            "an account over two lines",
            "cuenta ES91 2100 0418\n4502 0005 1332 gracias",
            "cuenta [iban] gracias",
        ),
        (
            "an account whose country stands apart",
            "cuenta ES 91 2100 0418 4502 0005 1332 ya",
            "cuenta [iban] ya",
        ),
        ("a quoted name", 'escriba a "ana lópez"@ejemplo.es', "escriba a [email]"),
        ("blanks around all signs", "escriba a ana @ ejemplo . es, gracias", "escriba a [email], gracias"),
        ("[arroba]", "escriba a ana[arroba]ejemplo[punto]es ya", "escriba a [email] ya"),
        ("words for both signs", "escriba a ana arroba ejemplo punto es ya", "escriba a [email] ya"),
        ("an encoded @", "escriba a ana%40ejemplo.es ya", "escriba a [email] ya"),
        ("a landline in its usual groups", "llame al 91 234 56 78 por favor", "llame al [phone] por favor"),
        ("a mobile parted by stars", "llame al 600*123*457 por favor", "llame al [phone] por favor"),
        ("an identity card parted by low lines", "mi DNI 12_345_678_Z vale", "mi DNI [id] vale"),
        ("a country code in brackets", "llame al (+34) 600 123 456 ya", "llame al ([phone] ya"),
    ),
    "de": (
        ("a card parted by line ends", "Karte 4111\n1111\n1111\n1111 gesperrt", "Karte [card] gesperrt"),
        ("a card parted by tabs", "Karte 4111\t1111\t1111\t1111 gesperrt", "Karte [card] gesperrt"),
        ("a card parted by low lines", "Karte 6011_1111_1111_1117 gesperrt", "Karte [card] gesperrt"),
        ("a card parted by stars", "Karte 6011*1111*1111*1117 gesperrt", "Karte [card] gesperrt"),
        ("a card parted by colons", "Karte 6011:1111:1111:1117 gesperrt", "Karte [card] gesperrt"),
        ("a card parted by semicolons", "Karte 6011; 1111; 1111; 1117 gesperrt", "Karte [card] gesperrt"),
        ("an account parted by dots", "Konto DE89.3704.0044.0532.0130.00 bitte", "Konto [iban] bitte"),
        ("an account parted by low lines", "Konto DE89_3704_0044_0532_0130_00 bitte", "Konto [iban] bitte"),
        ("an account over two lines", "Konto DE89 3704 0044\n0532 0130 00 bitte", "Konto [iban] bitte"),
        ("an account parted by slashes", "Konto DE89/3704/0044/0532/0130/00 bitte", "Konto [iban] bitte"),
        ("a quoted name", 'an "anna schmidt"@beispiel.de bitte', "an [email] bitte"),
        ("blanks around all signs", "an anna @ beispiel . de, danke", "an [email], danke"),
        ("(ät) and (punkt)", "an anna (ät) beispiel (punkt) de bitte", "an [email] bitte"),
        ("{at}", "an anna{at}beispiel.de bitte", "an [email] bitte"),
        ("words for both signs", "an anna at beispiel punkt de bitte", "an [email] bitte"),
        ("an encoded @", "an anna%40beispiel.de bitte", "an [email] bitte"),
        ("a landline with a spaced dash", "unter 030 - 123 456 78 erreichbar", "unter [phone] erreichbar"),
        ("a landline with a spaced slash", "unter 0170 / 123 45 67 erreichbar", "unter [phone] erreichbar"),
        ("a tax number parted by low lines", "Steuer 36_574_261_809 stimmt", "Steuer [id] stimmt"),
        ("a soft hyphen in it", "unter 0170\u00ad1234567 erreichbar", "unter [phone] erreichbar"),
    ),
    "fr": (
        ("a card parted by line ends", "ma carte 4111\n1111\n1111\n1111 refusée", "ma carte [card] refusée"),
        ("a card parted by tabs", "ma carte 4111\t1111\t1111\t1111 refusée", "ma carte [card] refusée"),
        ("a card parted by low lines", "ma carte 4111_1111_1111_1111 refusée", "ma carte [card] refusée"),
        ("a card parted by stars", "ma carte 4111*1111*1111*1111 refusée", "ma carte [card] refusée"),
        ("a card parted by colons", "ma carte 4111 : 1111 : 1111 : 1111 refusée", "ma carte [card] refusée"),
        ("a card parted by commas", "ma carte 4111,1111,1111,1111 refusée", "ma carte [card] refusée"),
        (
            "an account parted by dots",
            "compte FR14.2004.1010.0505.0001.3M02.606 merci",
            "compte [iban] merci",
        ),
        (
            "an account parted by low lines",
            "compte FR14_2004_1010_0505_0001_3M02_606 merci",
            "compte [iban] merci",
        ),
        (
            "an account over two lines",
            "compte FR14 2004 1010\n0505 0001 3M02 606 merci",
            "compte [iban] merci",
        ),
        ("a quoted name", 'écrire à "anne martin"@exemple.fr merci', "écrire à [email] merci"),
        ("blanks around all signs", "écrire à anne @ exemple . fr, merci", "écrire à [email], merci"),
        (
            "(arobase) and (point)",
            "écrire à anne (arobase) exemple (point) fr merci",
            "écrire à [email] merci",
        ),
        ("words for both signs", "écrire à anne arobase exemple point fr merci", "écrire à [email] merci"),
        ("an encoded @", "écrire à anne%40exemple.fr merci", "écrire à [email] merci"),
        ("_at_", "écrire à anne_at_exemple.fr merci", "écrire à [email] merci"),
        ("a number parted by low lines", "appelez le 06_12_34_56_78 merci", "appelez le [phone] merci"),
        ("a number parted by commas", "appelez le 06,12,34,56,78 merci", "appelez le [phone] merci"),
        ("a number over several lines", "appelez le 06\n12\n34\n56\n78 merci", "appelez le [phone] merci"),
        ("a number digit by digit", "appelez le 0 6 1 2 3 4 5 6 7 8 merci", "appelez le [phone] merci"),
        ("an insurance number parted by tabs", "sécu 1\t85\t07\t75\t123\t457\t07 merci", "sécu [id] merci"),
    ),
    "zh": (
        ("a card parted by line ends", "我的卡4111\n1111\n1111\n1111被扣款", "我的卡[card]被扣款"),
        ("a card parted by tabs", "我的卡6200\t0000\t0000\t0005被扣款", "我的卡[card]被扣款"),
        ("a card parted by low lines", "我的卡6200_0000_0000_0005被扣款", "我的卡[card]被扣款"),
        ("a card parted by wide stars", "我的卡6200＊0000＊0000＊0005被扣款", "我的卡[card]被扣款"),
        ("a card parted by wide colons", "我的卡6200：0000：0000：0005被扣款", "我的卡[card]被扣款"),
        ("a card parted by wide commas", "我的卡6200，0000，0000，0005被扣款", "我的卡[card]被扣款"),
        ("a card parted by enumeration commas", "我的卡6200、0000、0000、0005被扣款", "我的卡[card]被扣款"),
        ("a card in circled digits", "卡④①①①①①①①①①①①①①①①谢谢", "卡[card]谢谢"),
        ("an account parted by wide dots", "账户DE89．3704．0044．0532．0130．00谢谢", "账户[iban]谢谢"),
        ("an account parted by low lines", "账户DE89_3704_0044_0532_0130_00谢谢", "账户[iban]谢谢"),
        ("a quoted name", '写信到"wang wei"@qq.com谢谢', "写信到[email]谢谢"),
        ("blanks around all signs", "写信到 wang @ qq . com 谢谢", "写信到 [email] 谢谢"),
        ("(at)", "写信到 wang(at)qq.com 谢谢", "写信到 [email] 谢谢"),
        ("words for both signs", "写信到 wang艾特qq点com 谢谢", "写信到 [email] 谢谢"),
        ("an encoded @", "写信到 wang%40qq.com 谢谢", "写信到 [email] 谢谢"),
        ("an ideographic full stop", "写信到wang@qq。com，谢谢", "写信到[email]，谢谢"),
        ("a mobile parted by low lines", "电话138_1234_5678谢谢", "电话[phone]谢谢"),
        ("a mobile over several lines", "请打138\n1234\n5678谢谢", "请打[phone]谢谢"),
        ("an identity card parted by low lines", "身份证110105_19491231_002X谢谢", "身份证[id]谢谢"),
        ("an invisible blank in it", "请打138\u200b1234\u20605678谢谢", "请打[phone]谢谢"),
    ),
}

LEFT_ALONE = """see you @ the shop . it was closed|we met @ 5 . com on|RDV @ Paris.Merci pour tout
rendez-vous @ Lyon . de rien|I looked at this point in time|look at this point de vente
on était at home|à ce point de vente|el punto de venta|scores 5,5,4,5,5,5,4,5,5,5,4,5,5,5,4,5
2018, 2019, 2020, 2021|1200:1300:1400:1500|12:30:45, 13:30:45|06:30, 07:45, 08:15
3,000,000,000,000 of them|1:2:3:4:5:6:7|de 20 euros à 30 euros pour 12 articles et 45 points
be 10 or 20 or 30 or 40 or 50|10 * 20 * 30|a_b_c_1_2|file_2024_01_15|100% sure|50%40|R&D; yes
{at home}|<at last>|(at) all|[at] the door|le 15/01 – 12 h 30 – 3 personnes|commande 123 - 456
9 - 10 - 8 - 7|O2 is slow|O2 2024|2 * 3 = 6|我打了3次，等了20分钟，评分5，5，4"""


@pytest.mark.parametrize(
    ("language", "what", "comment", "left"),
    [(language, *row) for language, rows in TRIES.items() for row in rows],
)
def test_a_try_to_hide_personal_data_fails(language: str, what: str, comment: str, left: str) -> None:
    assert redact_text(comment) == left, f"{language}: {what}"


def test_there_are_a_hundred_tries() -> None:
    assert sum(len({comment for _, comment, _ in rows}) for rows in TRIES.values()) == 100


@pytest.mark.parametrize("comment", LEFT_ALONE.replace("\n", "|").split("|"))
def test_what_only_looks_like_a_try_stays(comment: str) -> None:
    assert redact_text(comment) == comment
