"""Survey comments of the simulated center's customers, by language and mood."""

from typing import Final

_ANGRY: Final = {
    "en": (
        "I waited twenty minutes and then the line went dead. Nobody called back.",
        "Third time I explain the same problem, and it is still not solved.",
        "I was charged twice and nobody could tell me why.",
        "Passed from one department to the next until I gave up.",
        "Very disappointed. I am thinking of leaving.",
    ),
    "es": (
        "Esperé veinte minutos y se cortó. Nadie me devolvió la llamada.",
        "Es la tercera vez que explico lo mismo y sigue sin resolverse.",
        "Me cobraron dos veces y nadie supo decirme por qué.",
        "Me pasaron de un departamento a otro hasta que colgué.",
        "Muy decepcionado. Estoy pensando en darme de baja.",
    ),
    "pt": (
        "Esperei vinte minutos e a chamada caiu. Ninguém me ligou de volta.",
        "É a terceira vez que explico o mesmo e continua por resolver.",
        "Cobraram-me duas vezes e ninguém soube dizer porquê.",
        "Passaram-me de um departamento para outro até eu desistir.",
        "Muito desiludido. Estou a pensar em mudar.",
    ),
}
_NEUTRAL: Final = {
    "en": (
        "Friendly, but I had to wait too long.",
        "Solved in the end, though it took two calls.",
        "The agent did what she could.",
        "Fine. The menu before it is too long.",
        "It works now. A confirmation by e-mail would be good.",
    ),
    "es": (
        "Amables, pero tuve que esperar demasiado.",
        "Al final se resolvió, aunque hicieron falta dos llamadas.",
        "La agente hizo lo que pudo.",
        "Bien. El menú de antes es demasiado largo.",
        "Ya funciona. Vendría bien una confirmación por correo.",
    ),
    "pt": (
        "Simpáticos, mas tive de esperar demasiado.",
        "Ficou resolvido, embora com duas chamadas.",
        "A agente fez o que pôde.",
        "Bem. O menu inicial é demasiado longo.",
        "Já funciona. Uma confirmação por e-mail seria útil.",
    ),
}
_HAPPY: Final = {
    "en": (
        "Great help, thank you.",
        "Friendly, and quick.",
        "Solved in two minutes. Impressive.",
        "She listened, understood, and fixed it.",
        "Best service I have had in years.",
    ),
    "es": (
        "¡Todo bien, gracias!",
        "Amables y rápidos.",
        "Resuelto en dos minutos. Impresionante.",
        "Me escuchó, lo entendió y lo arregló.",
        "El mejor servicio en años.",
    ),
    "pt": (
        "Tudo bem, obrigado!",
        "Simpáticos e rápidos.",
        "Resolvido em dois minutos. Impressionante.",
        "Ouviu, percebeu e resolveu.",
        "O melhor serviço em anos.",
    ),
}


def comment_choices(mood: float, language: str) -> tuple[float, tuple[str, ...]]:
    """Return the probability of a comment and the possible texts. `mood`: about -2 to 2.

    >>> probability, texts = comment_choices(-1.5, "en")
    >>> probability, texts[4]
    (0.4, 'Very disappointed. I am thinking of leaving.')
    """
    if mood < -0.9:
        return 0.4, _ANGRY[language]
    return (0.12, _NEUTRAL[language]) if mood < 0.5 else (0.1, _HAPPY[language])
