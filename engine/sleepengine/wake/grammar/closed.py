"""The closed word classes of English: the words that a grammar may list because there are no others.

Everything here is in lower case. Open classes (verbs, nouns, adjectives) are evidence and live in `lexicon`.
"""

from __future__ import annotations


def word_set(words: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(words.split())


ARTICLES = frozenset({"a", "an", "the"})
FIRST_POSSESSIVES = frozenset({"my", "our"})
THIRD_POSSESSIVES = frozenset({"his", "her", "its", "their"})
POSSESSIVES = FIRST_POSSESSIVES | THIRD_POSSESSIVES
DEMONSTRATIVES = frozenset({"this", "that", "these", "those"})
QUANTIFIERS = frozenset({"some", "any", "many", "several", "few", "much", "all", "both", "every", "each", "another"})
DETERMINERS = ARTICLES | POSSESSIVES | DEMONSTRATIVES | QUANTIFIERS

FIRST_SUBJECTS = frozenset({"i", "we"})
THIRD_SUBJECTS = frozenset({"he", "she", "it", "they"})
FIRST_OBJECTS = frozenset({"me", "us", "myself", "ourselves", "mine", "ours"})
THIRD_OBJECTS = frozenset({"him", "her", "it", "them", "he", "she", "they", "hers", "theirs"})
FIRST_WORDS = FIRST_SUBJECTS | FIRST_OBJECTS | FIRST_POSSESSIVES
SECOND_WORDS = frozenset({"you", "your", "yours", "yourself", "yourselves"})
INDEFINITE_SUBJECTS = frozenset(
    {"someone", "somebody", "something", "anyone", "anybody", "anything", "everyone", "everybody", "everything", "one"}
)

#: Finite forms of the verbs that stand before the subject in a question: form -> (base, is past).
AUXILIARIES: dict[str, tuple[str, bool]] = {
    "am": ("be", False), "is": ("be", False), "are": ("be", False), "was": ("be", True), "were": ("be", True),
    "has": ("have", False), "have": ("have", False), "had": ("have", True),
    "do": ("do", False), "does": ("do", False), "did": ("do", True),
    "can": ("can", False), "will": ("will", False), "must": ("must", False), "shall": ("shall", False),
    "could": ("could", True), "would": ("would", True), "should": ("should", True), "may": ("may", False),
    "might": ("might", True), "ought": ("ought", False),
}  # fmt: skip
AUXILIARY_BASES = frozenset(base for base, _ in AUXILIARIES.values())
MODALS = frozenset({"can", "will", "must", "shall", "could", "would", "should", "may", "might"})
#: Modals that say what is possible or wished for, not what is the case.
UNREAL_MODALS = frozenset({"could", "would", "should", "may", "might", "ought"})

NEGATIONS = frozenset(
    {"not", "never", "no", "nobody", "none", "nothing", "nowhere", "neither", "nor", "hardly", "scarcely", "seldom"}
)
CONDITIONS = frozenset({"if", "unless", "whether", "suppose", "supposing", "provided", "otherwise"})
HEDGES = frozenset(
    {
        "maybe",
        "perhaps",
        "probably",
        "possibly",
        "apparently",
        "presumably",
        "allegedly",
        "supposedly",
        "seemingly",
        "likely",
    }
)
WH_WORDS = frozenset({"what", "who", "whom", "whose", "which", "where", "when", "why", "how"})
RELATIVES = frozenset({"that", "who", "which", "whom", "whose", "where"})
SUBORDINATORS = frozenset(
    {
        "because",
        "although",
        "though",
        "while",
        "whereas",
        "so",
        "when",
        "whenever",
        "wherever",
        "once",
        "why",
        "how",
        "what",
    }
)
CONJUNCTIONS = frozenset({"and", "or", "but", "nor", "yet", "&"})

PREPOSITIONS = word_set(
    """about above across after against along alongside amid among around as at before behind below beneath beside
    besides between beyond by concerning despite down during except for from in inside into like near of off on
    onto opposite outside over past per regarding round since through throughout till to toward towards under
    underneath until up upon versus via with within without than"""
)
#: Adverbs that complete a phrasal verb ("grew up", "carries out"); most are prepositions too.
PARTICLES = frozenset(
    {"up", "down", "out", "off", "away", "back", "over", "together", "around", "along", "apart", "aside", "forward"}
)

#: Adverbs that may stand between subject and verb or inside the verb group.
ADVERBS = word_set(
    """also always already almost actually currently ever even finally first formerly frequently generally just
    mainly mostly normally now nowadays often once only originally presently previously primarily rarely really
    recently regularly simply sometimes soon still then today too usually very quite rather extremely especially
    both all so pretty"""
)
#: Adverbs that end an object ("speaks French well").
CLOSING_ADVERBS = word_set(
    """again ago alone already also anymore anyway daily either else fast forever hard here home immediately later
    monthly now nowadays often once sometimes soon still there today together tomorrow tonight too twice weekly
    well yearly yesterday"""
)
#: Words that open an adverbial of time without a preposition ("every day", "last year").
TIME_OPENERS = frozenset({"every", "each", "last", "next", "this"})
#: Adverbs in -ly are recognised by their ending; these words in -ly are not adverbs.
NOT_ADVERBS_IN_LY = word_set(
    """family butterfly dragonfly ally assembly belly bully fly jelly lily monopoly reply supply anomaly italy july
    rely apply early only ugly friendly lovely lonely elderly silly holy daily weekly monthly likely lively
    costly deadly curly multiply comply imply sally emily kelly molly polly holly billy sicily homily gully
    folly rally tally trolley"""
)

MONTHS_IN_ORDER = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
MONTHS = frozenset(MONTHS_IN_ORDER)
WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
TIME_WORDS = word_set(
    """noon midnight dawn dusk sunrise sunset morning afternoon evening night weekend spring summer autumn winter
    christmas easter am pm a.m. p.m. o'clock"""
)
TIME_UNITS = word_set(
    "second minute hour day week fortnight month year decade century night morning evening afternoon time"
)
NUMBER_WORDS = word_set(
    """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million"""
)
#: Adjectives that count among the determiners of a noun phrase rather than as its head.
NEVER_HEADS = frozenset(
    {"favourite", "favorite", "own", "other", "former", "main", "new", "old", "first", "second", "same"}
)


def is_adverb_in_ly(word: str) -> bool:
    """Whether a word in lower case is an adverb by its ending ("professionally")."""
    return word.endswith("ly") and len(word) > 4 and word not in NOT_ADVERBS_IN_LY
