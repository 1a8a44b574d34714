"""Every text of the page that is not an answer, in English and French.

Answers, cards and the safety notices stay in the language of the deck; the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Lang = Literal["en", "fr"]
LANGUAGES: dict[Lang, str] = {"en": "English", "fr": "Français"}


@dataclass(frozen=True, slots=True)
class Text:
    """A text in every language; call it with one: `strings.ASK("fr")`."""

    en: str
    fr: str

    def __call__(self, lang: Lang) -> str:
        return self.fr if lang == "fr" else self.en


def language(value: object) -> Lang:
    """A language that the page has, from a browser's preference such as "fr-CH,fr;q=0.9"."""
    wanted = str(value or "").strip().lower()[:2]
    return next((lang for lang in get_args(Lang) if lang == wanted), "en")


def place(rank: int, lang: Lang) -> str:
    """A rank in words: "3rd", "3e"."""
    if lang == "fr":
        return "1er" if rank == 1 else f"{rank}e"
    if rank % 100 in (11, 12, 13):
        return f"{rank}th"
    return str(rank) + {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")


TITLE = "medcards"
TAGLINE = Text(
    "Health answers from flashcards. Every sentence is one click from its card.",
    "Des réponses santé tirées de cartes. Chaque phrase est à un clic de sa carte.",
)
DISCLAIMER = Text(
    "For learning, not medical advice. It can be wrong: ask a doctor or pharmacist.",
    "Pour apprendre, pas un avis médical. Il peut y avoir des erreurs : demandez à un médecin ou "
    "à un pharmacien.",
)
DISCLAIMER_EMERGENCY = Text(
    "In an emergency, call your local emergency number.",
    "En cas d'urgence, appelez le numéro d'urgence de votre pays.",
)
COLON = Text(": ", " : ")
ANSWER_LANGUAGE = Text("", "Les réponses et les cartes restent dans la langue du paquet.")

# Panels
TAB_CHAT = Text("Chat", "Discussion")
TAB_COMPARE = Text("Compare", "Comparer")
TAB_CARDS = Text("Cards", "Cartes")
TAB_OWN = Text("Your deck", "Votre paquet")
TAB_REPORT = Text("Report", "Rapport")

# What goes on behind the service
STAGES = {
    "waiting": Text("waiting for the model hub", "en attente du serveur de modèles"),
    "downloading": Text("downloading", "téléchargement"),
    "converting": Text("converting the model", "conversion du modèle"),
    "indexing": Text("reading the full deck", "lecture du paquet complet"),
    "loading": Text("loading the model", "chargement du modèle"),
}
PROMOTED = Text("Now in service: {generator}.", "Maintenant en service : {generator}.")

# Asking
WELCOME = Text("What would you like to understand?", "Que voulez-vous comprendre ?")
WELCOME_HOW = Text(
    "Your question is compared with {cards} cards. The answer is made of what they say, and when "
    "they do not cover it, you are told so.",
    "Votre question est comparée à {cards} cartes. La réponse est faite de ce qu'elles disent ; "
    "si elles n'en parlent pas, on vous le dit.",
)
EXAMPLES = (
    "How can I recognise a stroke?",
    "How do statins lower cholesterol?",
    "Why should young children not be given aspirin?",
    "What is the difference between a cold and the flu?",
    "How is type 2 diabetes diagnosed?",
    "What is the capital of France?",
)
EXAMPLES_LABEL = Text("Example questions", "Exemples de questions")
QUESTION = Text("Your question", "Votre question")
PLACEHOLDER = Text("Ask a question…", "Posez une question…")
ASK = Text("Ask", "Demander")
STOP = Text("Stop", "Arrêter")
UNDO = Text("Undo", "Revenir en arrière")
CLEAR = Text("New chat", "Nouvelle discussion")
SAVE_MARKDOWN = Text("Save as Markdown", "Garder en Markdown")
SAVE_JSON = Text("Save as JSON", "Garder en JSON")
SAVE_ANKI = Text("Cited cards to Anki", "Cartes citées vers Anki")
RETRY = Text("Try again", "Réessayer")
EDIT = Text("Edit question", "Modifier la question")
EDIT_DROPS = Text(
    "What follows this question is removed.", "Ce qui suit cette question est supprimé."
)
SEND = Text("Send", "Envoyer")
CANCEL = Text("Cancel", "Annuler")
COPY = Text("Copy", "Copier")
COPIED = Text("Copied", "Copié")
LOOKING = Text("Looking through {cards} cards…", "Recherche parmi {cards} cartes…")
WRITING = Text("Writing the answer…", "Rédaction de la réponse…")
PLACE = Text(
    "Others are being answered: place {place} of {size} in the queue.",
    "D'autres reçoivent leur réponse : place {place} sur {size} dans la file.",
)
LEFT = Text("About {seconds} s to go.", "Encore {seconds} s environ.")
STOPPED = Text("Stopped by you.", "Arrêtée par vous.")
INTERRUPTED = Text(
    "This answer was interrupted. Your question is kept.",
    "Cette réponse a été interrompue. Votre question est conservée.",
)
FAILED = Text(
    "Something went wrong on our side. Your question is kept: try again.",
    "Une erreur s'est produite de notre côté. Votre question est conservée : réessayez.",
)
CLOSING = Text(
    "The server is going down for a moment. Your question is kept: ask again in a minute.",
    "Le serveur s'arrête un instant. Votre question est conservée : reposez-la dans une minute.",
)
OWN_GONE = Text(
    "Your own deck is no longer here: bring it again, or choose the built-in deck.",
    "Votre paquet n'est plus là : apportez-le de nouveau, ou choisissez le paquet intégré.",
)
BUSY = Text(
    "Too many questions are waiting, or the connection was lost. Yours is kept: try again in a "
    "moment.",
    "Trop de questions sont en attente, ou la connexion est perdue. La vôtre est gardée : "
    "réessayez dans un instant.",
)
NOTHING_TO_SAVE = Text("There is nothing to save yet.", "Il n'y a encore rien à enregistrer.")
NO_CITED = Text("No answer has cited a card yet.", "Aucune réponse n'a encore cité de carte.")
SAVED = Text("Saved {name}.", "{name} enregistré.")
DONE = Text("Answer complete.", "Réponse terminée.")

# An answer
YOU_ASKED = Text("You asked", "Vous avez demandé")
STATUS = {
    "abstained": Text("No answer in my cards", "Pas de réponse dans mes cartes"),
    "declined": Text("I cannot help with this", "Je ne peux pas aider pour cela"),
    "emergency": Text("Get help now", "Demandez de l'aide maintenant"),
}
DANGERS = {
    "emergency": STATUS["emergency"],
    "poisoning": STATUS["emergency"],
    "self_harm": Text("You are not alone", "Vous n'êtes pas seul"),
    "abuse": Text("You deserve to be safe", "Vous avez le droit d'être en sécurité"),
}
NOTICE = Text("Before you read on", "Avant de lire la suite")
CONFIDENCE = Text("Confidence", "Confiance")
CONFIDENCE_WORDS = (
    (0.75, Text("high", "élevée")),
    (0.4, Text("fair", "moyenne")),
    (0.0, Text("low", "faible")),
)
CONFIDENCE_MEANS = Text(
    "How likely the best card answers your question, as estimated on test questions. It says "
    "nothing about whether the answer fits you.",
    "La probabilité que la meilleure carte réponde à votre question, estimée sur des questions "
    "d'essai. Elle ne dit pas si la réponse vous convient.",
)
CLOSENESS = Text("Closeness to your question", "Proximité avec votre question")
CLOSENESS_WORDS = (
    (0.7, Text("very close", "très proche")),
    (0.5, Text("close", "proche")),
    (-1.0, Text("loosely related", "peu liée")),
)
CLOSENESS_MEANS = Text(
    "How near a card's meaning is to that of your question, from 0 to 100. It compares meanings, "
    "it is no chance of being right.",
    "À quel point le sens d'une carte est proche de votre question, de 0 à 100. C'est une "
    "comparaison de sens, pas une chance d'avoir raison.",
)
SUPPORT = Text("Held by its card", "Soutien de sa carte")
SUPPORT_WORDS = (
    (0.95, Text("word for word", "mot pour mot")),
    (0.75, Text("closely", "de près")),
    (0.0, Text("in substance", "en substance")),
)
CITED = Text("Cards cited", "Cartes citées")
FOUND = Text("Found, but not cited", "Trouvées, mais non citées")
NEAREST = Text("Nearest cards", "Cartes les plus proches")
BEST = Text("Best card so far", "Meilleure carte pour l'instant")
CARD = Text("Card", "Carte")
CARDS_OF = Text("Cards of this answer", "Cartes de cette réponse")
TERMS = Text("Medical words", "Mots médicaux")
BACK = Text("Back to the text", "Retour au texte")
CHECK = Text("Check it at", "À vérifier sur")
SHOW_CARD = Text("card {n}: {question}", "carte {n} : {question}")

# How this was answered
HOW = Text("How this was answered", "Comment cette réponse a été faite")
HOW_CARDS = Text("Cards found", "Cartes trouvées")
BY_MEANING = Text("{place} by meaning", "{place} par le sens")
BY_WORDS = Text("{place} by words", "{place} par les mots")
NOT_BY_MEANING = Text("not among the nearest by meaning", "pas parmi les plus proches par le sens")
NOT_BY_WORDS = Text("no word in common", "aucun mot en commun")
HOW_SENTENCES = Text("Sentences", "Phrases")
HOW_REMOVED = Text("Left out, because no card holds it", "Écartées : aucune carte ne le dit")
HOW_NONE_REMOVED = Text("Nothing was left out.", "Rien n'a été écarté.")
HOW_TIMES = Text("Times", "Durées")
HOW_SERVICE = Text("In service", "En service")
HOW_CITED = Text("cited", "citée")
HOW_UNCITED = Text("not cited", "non citée")
TIMES = {
    "retrieve": Text("finding the cards", "recherche des cartes"),
    "first_token": Text("first words", "premiers mots"),
    "total": Text("complete answer", "réponse complète"),
}
REMOVED = Text("{n} left out", "{n} écartée(s)")

# Settings
SETTINGS = Text("Settings", "Réglages")
LENGTH = Text("Answer length", "Longueur de la réponse")
LENGTHS = {
    "short": Text("Short (about 2 sentences)", "Courte (environ 2 phrases)"),
    "normal": Text("Normal", "Normale"),
    "long": Text("Long", "Longue"),
}
TEMPERATURE = Text("Temperature", "Température")
TEMPERATURE_INFO = Text(
    "0 repeats the likeliest words; more varies them.",
    "0 reprend les mots les plus probables ; plus haut, ils varient.",
)
TOP_K = Text("Cards to find", "Cartes à chercher")
ONLY_TOPICS = Text("Only these topics", "Seulement ces thèmes")
ONLY_DECKS = Text("Only these decks", "Seulement ces paquets")
ONLY_INFO = Text("Nothing chosen: all.", "Rien de choisi : tous.")
ONLY = Text(", only {names}", ", seulement {names}")
SIMPLE = Text("Simple language", "Langage simple")
SIMPLE_INFO = Text(
    "Short sentences first, medical words explained below.",
    "Les phrases courtes d'abord, les mots médicaux expliqués dessous.",
)
SYSTEM = Text("Who answers", "Qui répond")
SYSTEM_DEFAULT = Text("The one in service", "Celui en service")
SYSTEMS = {
    "extractive": Text("The cards' own sentences", "Les phrases des cartes"),
    "base": Text("Base model, from memory", "Modèle de base, de mémoire"),
    "tuned": Text("Tuned model, from memory", "Modèle affiné, de mémoire"),
    "base+rag": Text("Base model, with cards", "Modèle de base, avec les cartes"),
    "tuned+rag": Text("Tuned model, with cards", "Modèle affiné, avec les cartes"),
}
LANGUAGE = Text("Language of the page", "Langue de la page")

# Comparison
COMPARE = Text("Compare", "Comparer")
COMPARE_ABOUT = Text(
    "One question, every system that this machine has, side by side. What answers from memory "
    "looks up no card, and nobody checks it: compare it, do not use it.",
    "Une question, tous les systèmes de cette machine, côte à côte. Ce qui répond de mémoire ne "
    "consulte aucune carte et personne ne le vérifie : comparez-le, ne l'utilisez pas.",
)
COMPARE_ALONE = Text(
    "This machine has only one system now: {name}. To compare, add a model (MEDCARDS_BASE) and "
    "an adapter (MEDCARDS_ADAPTER).",
    "Cette machine n'a qu'un système pour l'instant : {name}. Pour comparer, ajoutez un modèle "
    "(MEDCARDS_BASE) et un adaptateur (MEDCARDS_ADAPTER).",
)
COMPARED = Text("All systems have answered.", "Tous les systèmes ont répondu.")
WAITING = Text("Waiting for its first words…", "En attente des premiers mots…")
UNCHECKED = Text(
    "From memory: no card was looked up, nothing is checked.",
    "De mémoire : aucune carte consultée, rien n'est vérifié.",
)

# Cards
SEARCH = Text("Search the cards", "Chercher dans les cartes")
SEARCH_PLACEHOLDER = Text(
    "Words or a question; empty shows all", "Des mots ou une question ; vide montre tout"
)
TOPIC = Text("Topic", "Thème")
ALL_TOPICS = Text("All topics", "Tous les thèmes")
NO_TOPIC = Text("No topic", "Sans thème")
DECK_BUILT_IN = Text("Built-in deck", "Paquet intégré")
DECK_OWN = Text("Your deck", "Votre paquet")
DECK_LINE = Text("{name} deck, {cards} cards", "paquet {name}, {cards} cartes")
FOUND_CARDS = Text("{n} cards, {shown} shown", "{n} cartes, {shown} affichées")
NO_CARDS = Text(
    "No card matches. Try other words, or all topics.",
    "Aucune carte ne correspond. Essayez d'autres mots, ou tous les thèmes.",
)
MORE = Text("Show more", "Afficher plus")
ASK_THIS = Text("Ask this", "Poser cette question")

# Your own deck
OWN_INTRO = Text(
    "Ask your own cards: an Anki package (.apkg) or text export, CSV, TSV, JSON or JSONL with a "
    "question and an answer. At most {megabytes} MB and {cards} cards. Only this page can see "
    "it. It is deleted when you remove it; after you reload or leave, within an hour.",
    "Interrogez vos propres cartes : un paquet Anki (.apkg) ou son export texte, CSV, TSV, JSON "
    "ou JSONL avec une question et une réponse. Au plus {megabytes} Mo et {cards} cartes. Seule "
    "cette page la voit. Elle est effacée si vous la retirez ; si vous rechargez ou partez, "
    "dans l'heure.",
)
OWN_UPLOAD = Text("Choose a deck file", "Choisir un fichier de cartes")
OWN_REMOVE = Text("Remove your deck", "Retirer votre paquet")
OWN_READING = Text("Reading the deck", "Lecture du paquet")
OWN_EMBEDDING = Text("Reading card {done} of {total}", "Lecture de la carte {done} sur {total}")
OWN_READY = Text(
    "“{name}” is ready: {cards} cards. Questions in the chat now go to it.",
    "« {name} » est prêt : {cards} cartes. Les questions lui sont maintenant posées.",
)
OWN_LEFT_OUT = Text("Rows left out: {reasons}.", "Lignes écartées : {reasons}.")
OWN_REMOVED = Text("Your deck is removed.", "Votre paquet est retiré.")
OWN_TOO_LARGE = Text(
    "This file has {size} MB: at most {limit} MB can be read. Export a smaller part of the deck.",
    "Ce fichier fait {size} Mo : au plus {limit} Mo peuvent être lus. Exportez-en une partie.",
)
OWN_TOO_MANY = Text(
    "This deck has more than {limit} cards. Export a smaller part of it.",
    "Ce paquet a plus de {limit} cartes. Exportez-en une partie.",
)
ANSWERS_FROM = Text("Answers come from", "Les réponses viennent de")

# Report
REPORT_ABOUT = Text(
    "How the systems did when they were compared on held-out cards ({date}).",
    "Les résultats des systèmes comparés sur des cartes mises de côté ({date}).",
)
REPORT_ALONE = Text("Open it alone", "L'ouvrir seul")
REPORT_NONE = Text(
    "There is no evaluation report on this machine. To make one:",
    "Il n'y a pas de rapport d'évaluation sur cette machine. Pour en faire un :",
)

# Feedback
GOOD = Text("Helpful", "Utile")
BAD = Text("Not helpful", "Pas utile")
REASONS = {
    "clear": Text("Clear and right", "Clair et juste"),
    "cards": Text("The cards help", "Les cartes aident"),
    "wrong": Text("Wrong or risky", "Faux ou risqué"),
    "off": Text("Does not answer the question", "Ne répond pas à la question"),
    "refused": Text("Should have been answered", "Aurait dû être répondu"),
    "unclear": Text("Hard to understand", "Difficile à comprendre"),
    "other": Text("Something else", "Autre chose"),
}
REASONS_FOR = {"up": ("clear", "cards", "other"), "down": ("wrong", "off", "refused", "unclear")}
FEEDBACK_WHY = Text("What made it so?", "Pourquoi ?")
FEEDBACK_COMMENT = Text("In your words (optional)", "Avec vos mots (facultatif)")
FEEDBACK_STORED = Text(
    "What is stored: your rating, reason and words, the time, and the versions of cards and "
    "generator. No name, no address.",
    "Ce qui est gardé : votre avis, la raison et vos mots, l'heure, et les versions des cartes et "
    "du générateur. Ni nom, ni adresse.",
)
FEEDBACK_AGREE = Text(
    "Also store this question and its answer", "Garder aussi cette question et sa réponse"
)
FEEDBACK_THANKS = Text("Thank you. Your feedback is stored.", "Merci. Votre avis est gardé.")
FEEDBACK_FAILED = Text(
    "Your feedback could not be stored. Please try again.",
    "Votre avis n'a pas pu être gardé. Réessayez.",
)
