"""Whether a sign in a message is lived now, or asked about, remembered, imagined or denied."""

from assistant.safety.phrases import Span, Tagged

_NEGATORS = frozenset(
    {"no", "without", "never", "not", "dont", "isnt", "havent", "hasnt", "doesnt", "didnt"}
    | {"denies", "neither", "nor"}
)
# Words that may stand between the negator and what it denies.
_LIGHT = frozenset(
    {"have", "any", "having", "had", "get", "getting", "a", "an", "the", "feel", "really"}
    | {"actual", "got", "been"}
)


class Frames:
    """Frames of one tagged message; each method answers for one span of words."""

    def __init__(self, tagged: Tagged) -> None:
        self.tagged = tagged
        text = tagged.text
        self._sentence, self._clause, self._words = text.sentence, text.clause, text.words
        hidden = self._covered("@notpersonal")
        self._personal = {
            text.sentence[s] for s, e in tagged.of("@personal") if not hidden & set(range(s, e))
        }
        self._personal_clauses = {
            text.clause[s] for s, e in tagged.of("@personal") if not hidden & set(range(s, e))
        }
        # "studying for my exam and got chest pain": the person is left out.
        self._personal_clauses |= {
            text.clause[s]
            for verb in ("got", "having", "felt", "feeling")
            for s, _ in tagged.of(verb)
        }
        self._figurative = self._covered("@figurative")
        self._knowledge = self._knowledge_sentences()
        self._past = {text.clause[s] for s, _ in tagged.of("@past")}
        self._now_clauses = {text.clause[s] for s, _ in tagged.of("@now")}
        self._now_sentences = {text.sentence[s] for s, _ in tagged.of("@now")}
        self._plea = {text.sentence[s] for s, _ in tagged.of("@plea")}
        self._resolved = {text.sentence[s] for s, _ in tagged.of("@resolved")}
        self._generic = {text.sentence[s] for s, _ in tagged.of("@generic")}
        self._animal = {text.sentence[s] for s, _ in tagged.of("@animal")}
        self._people = {text.sentence[s] for c in ("@third", "i", "me") for s, _ in tagged.of(c)}
        self._claimed = bool(tagged.of("@claim"))  # "... serious? I have it now"
        self._vignette = bool(tagged.spans.get("@vignette"))
        self._study = bool(tagged.spans.get("@study"))

    @property
    def resolved(self) -> bool:
        return bool(self._resolved)

    def lived(self, span: Span) -> bool:
        """Whether the sign at `span` is a person's own, or someone's with them, and present."""
        start, _ = span
        sentence, clause = self._sentence[start], self._clause[start]
        personal = self._claimed or sentence in self._personal
        if self.figurative(span) or self._vignette or self._negated(start):
            return False
        if self._study and clause not in self._personal_clauses:
            return False
        if clause in self._past and clause not in self._now_clauses:
            return False
        if sentence in self._resolved or self._led_by(span, "@prevention"):
            return False
        now = sentence in self._now_sentences
        if self._led_by(span, "@conditional") and not now:
            return False
        now = now or sentence in self._plea
        if sentence in self._animal and sentence not in self._people:
            return False
        impersonal = sentence in self._knowledge or sentence in self._generic
        return personal or now or not impersonal

    def figurative(self, span: Span) -> bool:
        return any(i in self._figurative for i in range(*span))

    @property
    def imagined(self) -> bool:
        """Whether the message is an exam case or a story."""
        return self._vignette

    @property
    def shape(self) -> str:
        """Which frames the message has, as one word for the linear score."""
        marks = (self._knowledge, self._personal, self._past, self._study, self._figurative)
        return "".join("ny"[bool(mark)] for mark in marks)

    def _covered(self, concept: str) -> set[int]:
        return {i for s, e in self.tagged.of(concept) for i in range(s, e)}

    def _knowledge_sentences(self) -> set[int]:
        filler = self._covered("@filler")
        leads = {s for s, _ in self.tagged.of("@question")}
        found = {self._sentence[s] for s, _ in self.tagged.of("@studynoun")}
        found |= self.tagged.text.questions
        current = -1
        for i, sentence in enumerate(self._sentence):
            if sentence == current:
                continue
            if i in leads and not (self._words[i] == "can" and i in filler):
                found.add(sentence)
            if i not in filler:
                current = sentence
        return found

    def _negated(self, start: int) -> bool:
        """Whether "no", "I don't have any", ... stands right before the sign."""
        i = start - 1
        while i >= 0 and i >= start - 3 and self._clause[i] == self._clause[start]:
            if self._words[i] in _NEGATORS:
                return True
            if self._words[i] not in _LIGHT:
                return False
            i -= 1
        return False

    def _led_by(self, span: Span, concept: str) -> bool:
        start, end = span
        return any(
            s < end - 1 and start - e <= 4 and self._clause[start] in self._clause[s:e]
            for s, e in self.tagged.of(concept)
        )

    def meant(self, span: Span) -> bool:
        """Whether words that need no frame are no figure of speech."""
        return not self.figurative(span)

    def requested(self, span: Span) -> bool:
        """Whether the sentence of `span` asks for help with it."""
        sentence = self._sentence[span[0]]
        asks = any(self._sentence[s] == sentence for s, _ in self.tagged.of("@ask"))
        ordered = self._sentence.index(sentence) in self.tagged.spans.get("@command", {})
        return (asks or ordered) and not self.figurative(span)
