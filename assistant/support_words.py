"""The closed word classes of the support check: synonyms, opposites, amounts, general words.

These are classes of the language (negators, quantifiers, units, everyday verbs), not words of
particular cards. A word in none of them is taken to name something, and must stand in the card.
"""

from __future__ import annotations

import re

from index.text import STOPWORDS


def listed(text: str) -> list[str]:
    return text.split()


# Phrases that are one notion, or that another word says; replaced before words are read.
PHRASES = {
    "blood thinner": "anticoagulant", "blood thinners": "anticoagulants",
    "heart rate": "heartbeat", "heart beat": "heartbeat", "physical activity": "exercise",
    "physically active": "exercise", "being active": "exercise", "working out": "exercise",
    "racing heart": "fast heartbeat", "quarter of an hour": "15 minutes",
    "half an hour": "30 minutes", "an hour and a half": "90 minutes", "a fortnight": "2 weeks",
    "stop smoking": "quit smoking", "stays visible": "does not fade", "break off": "separate",
    "break loose": "separate", "breaks loose": "separates", "breaks off": "separates",
    "passes out": "faints", "pass out": "faint", "passing out": "fainting",
    "lose consciousness": "faint", "high temperature": "fever", "feel sick": "nausea",
    "feeling sick": "nausea", "look for": "check", "looks for": "checks", "used to": "",
    "keep from": "prevent", "ward off": "prevent", "in most cases": "usually",
    "most of the time": "usually", "from time to time": "sometimes", "now and then": "sometimes",
    "in some cases": "sometimes", "in rare cases": "rarely", "every time": "always",
    "a number of": "several", "bring down": "lower", "brings down": "lowers",
    "go up": "rise", "goes up": "rises", "go down": "fall", "goes down": "falls",
    "cut down on": "reduce", "cutting down on": "reducing", "speed up": "quicken",
    **{
        f"{prefix}{stem}{emia}": f"{amount} {substance}"
        for prefix, amount in (("hypo", "low"), ("hyper", "high"))
        for stem, substance in (
            ("glyc", "glucose"), ("kal", "potassium"), ("natr", "sodium"), ("calc", "calcium"),
            ("magnes", "magnesium"), ("phosphat", "phosphate"),
        )
        for emia in ("emia", "aemia")
    },
    "blood sugar": "glucose", "blood glucose": "glucose",
    "low oxygen": "hypoxia", "nose bleed": "nosebleed", "flu": "influenza",
    "heart attack": "heartattack", "heart attacks": "heartattack",
    "myocardial infarction": "heartattack", "high blood pressure": "hypertension",
    "raised blood pressure": "hypertension", "low blood pressure": "hypotension",
    "shortness of breath": "breathlessness", "short of breath": "breathlessness",
    "trouble breathing": "breathlessness", "difficulty breathing": "breathlessness",
    "hard to breathe": "make breathing difficult",
    "belly button": "navel", "overactive thyroid gland": "hyperthyroidism",
    "underactive thyroid gland": "hypothyroidism", "overactive thyroid": "hyperthyroidism",
    "underactive thyroid": "hypothyroidism", "throwing up": "vomiting", "throw up": "vomit",
    "birth control": "contraception", "chicken pox": "chickenpox", "whooping cough": "pertussis",
    "sexually transmitted infection": "sti", "sexually transmitted infections": "sti",
    "sexually transmitted disease": "sti", "long term": "chronic", "long lasting": "chronic",
    "long-term": "chronic", "long-lasting": "chronic", "short-term": "temporary",
    "short term": "temporary", "a lot of": "much", "lots of": "many", "leads to": "causes",
    "lead to": "cause", "leading to": "causing", "led to": "caused", "results in": "causes",
    "result in": "cause", "resulting in": "causing", "brings on": "causes", "set off": "cause",
    "due to": "caused by", "because of": "caused by", "results from": "is caused by",
    "result from": "are caused by", "resulting from": "caused by", "owing to": "caused by",
    "brought on by": "caused by", "as a result of": "caused by", "goes away": "resolves",
    "go away": "resolve", "going away": "resolving", "clears up": "resolves",
    "gets better": "improves", "get better": "improve", "gets worse": "worsens",
    "get worse": "worsen", "getting worse": "worsening", "passed on": "spread",
    "pass on": "spread", "passing on": "spreading", "stop working": "fail",
    "made up of": "consists of", "known as": "called", "referred to as": "called",
    "such as": "like", "for example": "like", "for instance": "like", "in spite of": "despite",
    "free of": "without", "free from": "without", "instead of": "rather than",
    "has to": "must", "have to": "must", "needs to": "must", "need to": "must",
    "no longer": "not", "not only": "", "not just": "", "at least": "atleast",
    "no less than": "atleast", "a minimum of": "atleast", "no fewer than": "atleast",
    "at most": "atmost", "up to": "atmost", "no more than": "atmost", "a maximum of": "atmost",
    "more than": "above", "greater than": "above", "higher than": "above", "or more": "atleast",
    "or over": "atleast", "or higher": "atleast", "or above": "atleast", "or older": "atleast",
    "and older": "atleast", "and over": "atleast", "and above": "atleast",
    "less than": "below", "fewer than": "below", "lower than": "below", 
    "or lower": "atmost",
    "or below": "atmost", "or shorter": "atmost", "or longer": "atleast",
    "or less": "atmost",
    "or fewer": "atmost", "or younger": "atmost", "or under": "atmost",
    "younger than": "below", "older than": "above", "longer than": "above",
    "shorter than": "below", "first-line": "first line",
    "of choice": "first line", "rules out": "excludes", "rule out": "exclude",
    "ruled out": "excluded", "right away": "immediately", "straight away": "immediately",
    "at once": "immediately", "as soon as possible": "immediately", "every day": "daily",
    "each day": "daily", "a day": "daily", "per day": "daily", "all over": "throughout",
    "at all": "", "after all": "", "overall": "", "most often": "mostly", "in general": "generally",
    "as well as": "and", "at any time": "anytime", "on its own": "alone", "by itself": "alone",
    "acting out": "actingout", "act out": "actingout", "carry out": "do", "take place": "happen",
    "get rid of": "remove", "gets rid of": "removes", "taken out": "removed",
    "red blood cell": "erythrocyte", "red blood cells": "erythrocytes",
    "white blood cell": "leukocyte", "white blood cells": "leukocytes",
}  # fmt: skip

# Each group: words that may stand for one another. The first gives the notion its name.
_SYNONYMS = """
doctor physician clinician gp medic; child kid youngster toddler; baby infant newborn neonate; old
elderly senior; woman female lady; man male; pregnant pregnancy gestation expectant; birth
delivery childbirth labour labor; medicine medication drug medicament pharmaceutical; tablet pill;
kidney renal; liver hepatic; heart cardiac; lung pulmonary; brain cerebral; stomach gastric; skin
cutaneous; bone skeletal; abdomen abdominal belly tummy; womb uterus uterine; navel umbilicus;
windpipe trachea; eye ocular; mouth oral; cancer malignancy malignant; tumor tumour neoplasm
growth; anemia anaemia; edema oedema; diarrhea diarrhoea; esophagus oesophagus; apnea apnoea;
estrogen oestrogen; hemorrhage haemorrhage bleeding bleed; leukemia leukaemia; paralyse paralyze;
feces faeces stool poo; fetus foetus fetal foetal; celiac coeliac; paracetamol acetaminophen;
epinephrine adrenaline; norepinephrine noradrenaline; salbutamol albuterol; aciclovir acyclovir;
breathlessness dyspnea dyspnoea breathless; fever pyrexia febrile feverish; itch itchy itching
pruritus; bruise bruising; tired tiredness fatigue exhausted exhaustion weary; sleepy sleepiness
drowsy drowsiness; dizzy dizziness lightheaded lightheadedness; vomit vomiting emesis; faint
fainting syncope; seizure convulsion fit; pain ache painful aching sore soreness hurt; headache
cephalalgia; swell swelling swollen; glucose sugar; magnesium mg2; calcium ca2; potassium k;
sodium na; tuberculosis tb; virus viral; bacteria bacterial bacterium; fungus fungal fungi;
parasite parasitic; genetic inherited hereditary inherit; vaccine vaccination immunisation
immunization jab vaccinate immunise immunize; injection shot injected inject; surgery operation
surgical; disease illness condition disorder sickness; symptom sign complaint; problem trouble
difficulty difficult hard; cause trigger provoke induce; happen occur arise develop appear; begin
start onset commence; show reveal demonstrate display indicate suggest; find detect discover
identify; diagnose diagnosis; treat treatment therapy manage management therapeutic; cure curable
heal remedy; prevent prevention preventive preventing; help assist aid; improve better; worsen
worse deteriorate aggravate; relieve relief ease soothe alleviate; protect protection protective;
lower reduce decrease lessen diminish cut down reduction; raise increase elevate elevated boost
rise higher; less fewer lesser; more greater extra additional; big large; small little tiny; fast
quick rapid; widen dilate dilation wider; narrow constrict constriction narrowing; stimulate
activate activates activated activating activation activator; block inhibit suppress inhibitor
blocker; release secrete discharge; make create generate produce production; clean filter;
important essential vital crucial; need require necessary must; use take used taken taking using
give given administer receive apply; eat ingest consume; get acquire catch contract; affect
involve; mainly mostly chiefly primarily predominantly largely; common frequent often frequently
commonly; usually generally typically normally; rare rarely seldom uncommon infrequent uncommonly
infrequently; sometimes occasionally; may might possibly perhaps; many several numerous; people
person patient anyone someone somebody individual those; risk chance likelihood probability likely
odds; danger dangerous hazardous hazard; serious severe grave; mild minor; chronic persistent
lasting persist lifelong; sudden abrupt suddenly; immediate immediately promptly prompt urgent
urgently; call phone ring; check measure test examine monitor; tell inform; see consult visit;
stop quit halt cease; contagious infectious; spread transmit transmission transmitted; resolve
vanish disappear; return recur relapse recurrence back; stay remain keep; last continue; about
around approximately roughly nearly almost; method way; quickly rapidly; whole entire; throbbing
pulsating; painkiller analgesic; safe safety; weak weakness weaken; strong strength strengthen;
carry transport; move movement mobility shift travel; pinch squeeze; form type kind sort; level
amount concentration; teach train; tolerate tolerance tolerant; defect fault; lack deficiency
deficient deficit shortage; excess excessive surplus; backward backwards; forward forwards; later
afterwards afterward; breastfeeding breastfeed nursing nurse; contain hold; include comprise;
picture image; sunlight sunshine; mother mom mum maternal; father dad paternal; throat pharynx;
urine pee urinary urinate urination; period menstruation menstrual; menopause menopausal
postmenopausal; drink drinking; clot thrombus thrombosis; vein venous; artery arterial; nerve
neural; muscle muscular; tooth teeth dental; foot feet; goose geese; gum gingival; egg ovum; joint
articular; vision sight visual eyesight; hearing auditory; smell olfactory; taste gustatory; food
diet dietary; avoid avert; unusual abnormal; normal healthy; all every everyone everybody
everything each; only solely exclusively just; completely entirely totally fully wholly; part
piece portion section bit; hungry hunger; exercise exercising exercises activity active workout;
anticoagulant bloodthinner; refrigerate fridge refrigerator; visible seen; heartbeat pulse
heartrate; belch burp; flatulence wind; wheeze wheezing; cough coughing; sneeze sneezing; snore
snoring; shake shaking tremor shiver shivering; sweat sweating perspiration perspire; fat lipid
fatty; fluid liquid; germ microbe pathogen; wash rinse; cook heat; bin discard; touch contact;
skinny underweight; obese obesity overweight; pimple acne; hive urticaria; eczema dermatitis;
piles hemorrhoid haemorrhoid; shingles zoster; influenza grippe; measles rubeola; tetanus lockjaw;
scan imaging; picture image photo photograph; blindness blind; deafness deaf; swallow swallowing;
chew chewing; sleep asleep sleeping; awake wake waking; walk walking; stand standing; sit sitting
seated; lie lying laid lay; lean leaning; speak speech talk talking; think thinking; remember
memory; forget forgetful; confuse confusion confused disoriented; anxious anxiety worry; sad
sadness; depress depression; unconscious unresponsive; pale pallor; red redness; yellow yellowish;
blue bluish; white whitish; thirst thirsty; constipate constipation constipated; dehydrate
dehydration dehydrated; infect infection infected; inflame inflammation inflamed; irritate
irritation irritated; allergy allergic; immune immunity; infertility infertile; fertility fertile;
poison poisonous poisoning toxic toxin; rest resting; hospital hospitalise hospitalize; specialist
expert; advice guidance counsel; country nation; family relative; job work; smoke smoking smoker
cigarette tobacco; alcohol alcoholic; fibre fiber; tumble fall; crack fracture fractured; stiff
stiffness; numb numbness; tingle tingling; burn burning; sting stinging; bite bitten; scratch
scratching; mosquito mosquitoes; lump bump mass; crust scab; lining mucosa; passage airway; flow
circulation; sample specimen; result finding; dose dosage; replace replacement; transplant graft;
remove removal excise; repair fix; stitch suture; bandage dressing; sex intercourse sexual;
adolescent teenager teen teenage adolescence; aging ageing; death die dying fatal deadly mortality
lethal; survive survival; live life living; grow grown growing; split divide; bind attach; absorb
absorption; digest digestion; excrete excretion eliminate; store storage; build buildup accumulate
accumulation; collect gather; leak leakage; drain drainage; blockage blocked obstruct obstruction
clogged; rupture burst tear torn; enlarge enlarged enlargement; shrink shrinkage; press pressing;
warm warmth; swap exchange; choose choice select option; gradually slowly; nearly almost; approve
approved; limit restrict; forbid banned; recommend advise; name term called; calm relax; nosebleed
epistaxis; genital genitals; bowel intestine intestinal gut; spine spinal backbone; chest thorax
thoracic; spleen splenic; pancreas pancreatic; prostate prostatic; ovary ovarian; testicle testis
testicular testes; breast mammary; vagina vaginal; penis penile; ear otic; nose nasal
"""

# Opposites: "a b / c d": a word of one side contradicts a word of the other.
_OPPOSITES = """
increase raise high more gain upward excess rise grow above up boost enhance rich much / lower low
less reduce decrease loss lose downward lack below fall drop shrink decline down fewer; before
until / after following since later; begin / stop finish end; continue / stop; open widen dilate /
close narrow constrict shut; fast / slow slowly; acute / chronic; big much / small; benign /
cancer malignant; upper top superior / lower bottom inferior; left / right; front anterior forward
/ back-side posterior backward rear; inner inside internal / outer outside external; dominant /
recessive; virus / bacteria; hot warm heat / cold cool; dry / wet moist moisture; hard-surface
stiff / soft; thick thicken / thin thinner watery; systolic / diastolic; artery / vein; man boy
father / woman girl mother; adult / child baby; early earlier / late; first / last final; day
daytime / night nighttime overnight; positive / negative; active / inactive; safe / danger unsafe
risky; sensory afferent / motor efferent; stimulate activate / block inhibit suppress; agonist /
antagonist; absorb / secrete release; inhale inspiration / exhale expiration; improve / worsen;
strong strengthen strong / weak; short shorten shorter / long lengthen longer prolong; light
lighter / heavy heavier dark; contract / relax; empty / full; mild / serious severe; rare / common
usually most; present presence / absent absence; with / without; medial / lateral; proximal /
distal; sympathetic / parasympathetic; dorsal / ventral; same similar / different; inside within /
beyond; atleast minimum / atmost maximum; sensitive / resistant resistance; single / multiple;
temporary / permanent; acid acidic / alkaline; primary / secondary; sweet / sour; single-sided
one-sided / both-sided; cause trigger / prevent relieve protect; cause trigger / treat; cause
trigger / cure; prevent / treat; prevent / cure; diagnose / treat; diagnose / cure; diagnose /
prevent; enter / leave exit; add / remove; allow enable / prevent block forbid; help benefit
helpful / harm damage harmful; good / bad poor; together / separate separately apart alone; first
/ second third fourth; single sole / double twin; possible / impossible; easy easier / difficult
problem; oxygenated / deoxygenated; regular regularly / irregular irregularly; live living / dead
killed inactivated; young younger / old older; smooth / rough; flexible / rigid; major / minor;
partial / complete completely; deep / superficial shallow; healthy normal / abnormal; most /
least; into / out outof; gain-weight / lose-weight; alpha / beta
"""

NEGATORS = frozenset(
    listed(
        """no not never cannot can't don't doesn't isn't aren't wasn't weren't won't shouldn't
        mustn't
    didn't hasn't haven't couldn't wouldn't needn't without neither nor none nobody nothing
    avoid avoids avoided avoiding lack lacks lacking absent absence unable unlikely fail fails
    failed rather incapable nowhere hardly barely dont doesnt cant"""
    )
)
# How much of the time, or of the cases: 1 few, 2 some, 3 many, 4 most, 5 all.
LEVELS = {
    **dict.fromkeys(listed("rare rarely seldom uncommon uncommonly few minority infrequently"), 1),
    **dict.fromkeys(
        listed(
    """some sometimes may might could possible possibly perhaps occasional occasionally"""
), 2
    ),
    **dict.fromkeys(listed("often common commonly frequently frequent many"), 3),
    **dict.fromkeys(listed(
    """usually usual most mostly generally typically normally majority"""
), 4),
    **dict.fromkeys(
        listed(
    """always all every everyone everybody must only solely exclusively completely entirely totally
    definitely certainly guaranteed guarantee guarantees invariably inevitably permanently fully
    will"""
),
        5,
    ),
}  # fmt: skip
HEDGES = frozenset(
    listed("""may might could some sometimes occasionally possibly perhaps few rarely""")
)
BOUNDARIES = frozenset(
    listed(
        """, ; : ( ) but because which who while whereas although though if when since so unless
    whether until and or"""
    )
)
CONTRASTS = frozenset(listed("while whereas but ; unlike although"))
RELATIONS = frozenset(
    listed(
        """cause prevent treat stimulate block release supply carry convert affect spread raise
        lower precede damage kill attack bind control pump produce contain worsen"""
    )
)

# Everyday words that a rewording brings in and that by themselves claim nothing about the world.
_GENERAL = listed(
    """able accept accompany accomplish accord account accurate achieve across act action actively
    actual adapt add address adequate adjust advantage advice advisable advise affect affected
    against ago aim allow almost alone along already also alter alternative although always
    amazing amid among amount anyone anything anytime anywhere apart appear apply approach
    appropriate area aren't arise around arrange arrive ask aspect assess assessment assist
    associate assume assumption attach attack attempt attention available avoidable aware away
    back base basic bear become begin behave behind being believe belong beneficial benefit best
    better between beyond big bit bodily body both bother break brief bring broad build burden
    calculate call cannot capable care careful carefully carried carry case catch category cause
    caution central certain chance change character characterise characterize check chiefly
    choice choose chosen circumstance class classic classical clear clearly clinical close
    collect combine come comfort comfortable common commonly compare complete completely complex
    component compose comprise concern conclude condition conduct confirm connect consequence
    consequently consider considerable considered consist constant constantly consult contact
    contain continue control correct correspond cost could count course create crucial current
    currently daily damage damaged deal define delay deliver demand demonstrate depend describe
    deserve design desire despite destroy detail detect determine develop diagnose diagnosed
    differ difference different difficult difficulty direct directly disappear discover discuss
    disease disorder display distinct distinguish disturb doctor doubt during each ease easily
    easy eat effect effective effectively efficient effort either eliminate else emerge
    emergency employ enable encounter encourage end engage enhance enough ensure enter entire
    especially essential essentially establish estimate evaluate even event eventually ever
    everyone evidence evident exactly examination examine example excellent except excessively
    exhibit exist expect expectancy experience explain exposed express extend extent extra
    extremely fact factor fail fairly familiar far favor feature feel feeling few fewer final
    finally find finding first fit fix focus follow force form former found frequent frequently
    fulfil full fully function fundamental further gather general generally generate gently give
    good gradual gradually great greatly group grow guard guide guideline half hallmark handle
    hard hardly harm harmlessly having health healthy help helpful hence high hold however huge
    ideal identify ill immediate immediately impact impair implement imply importance important
    improve incidence incident include increasingly indicate indication individual influence
    inform information initial initially inside instance instead intend intended intense
    interfere intervention introduce investigate investigation involve issue itself join judge
    just justify keep key kind know knowledge known lack large largely last lasting lasts later
    latter lay lead leading least leave length lessen let level lie life lifelong like likely
    limit link list live locate location long longer look loose lot low main mainly maintain
    major majority make manage manifest manifestation many mark marked matter mean meaning
    meanwhile measure mechanism medical medicine mention merely method middle mild minimise
    minimize minor modify moment monitor more moreover most mostly move much multiple must name
    namely naturally nature near nearby necessary need nevertheless new next nonetheless normal
    normally note notice noticeable noticeably number observe obtain obvious occasion occur
    occurrence off offer often old oneself only onto opportunity option order ordinarily
    ordinary organise original originate otherwise outcome outside overall overly own part
    particular particularly partly pass patient people per perceive perform permanent permit
    person personal persons perspective phase phenomenon physical place plan play plus point
    poor pose position possess possibility possible potential potentially practice precaution
    precise precisely predict predominantly prefer preferable preferred presence present
    preserve presumably prevent previous primary prior probable probably problem procedure
    proceed process produce professional progress promote prompt promptly proper properly
    proportion protect protection prove provide provoke purpose put quality quick quickly quite
    raise rapid rarely rate rather reach react readily ready real reason receive reckon
    recognize recommend recover recovery reduce refer regard regardless regular regularly relate
    relation relatively relevant reliable reliably rely remain remarkable remember remove repeat
    replace report represent require research reserve resist resolve respond response
    responsible rest restore restrict result retain return reveal reverse right rise risk role
    roughly safe safely safety same satisfactory say scenario search secure see seek seem seen
    select selected sense sensible separate serious seriously serve set several severe shall
    shape shortly should show shrink side sign signal signals significant significantly similar
    similarly simple simply since situation slight slightly small solution solve someone
    something sometimes somewhat somewhere soon sort source speak special specific specifically
    spend spread stable stage stand standard start state stay stays steady step stick still stop
    strategy strength strict strong strongly structure struggle subject substantial succeed
    success successful successfully such sudden suddenly suffer sufferer sufferers suffering
    sufficient suggest suit suitable supply support sure surround survive suspect suspected
    sustain swiftly symptom system tackle take talk target task technique tell tend tendency
    term themselves thereafter thereby therefore thing think thoroughly though thought threaten
    throughout thus time together too tool total toward towards trace transfer treat treated
    treatment trigger trouble true truly try turn turned type typical typically ultimately
    unable under undergo underlie underlying understand uneasy unfortunately unit unless unlike
    unusually up upon upset use useful usual usually utilize value variety various vary versus
    very via view vulnerable wait want warn warning watch way weaken well whatever whenever
    wherever whether whole wholly whom whose wide widely wish within without work works world
    worry worse worsening worth worthwhile wrong yet yourself"""
)

# Function words that carry a statement all the same.
KEPT = frozenset(listed("give gives given giving need made make makes"))

# Endings that may differ between forms of one word that the stemmer leaves apart.
ENDINGS = frozenset(("",)) | frozenset(
    listed(
    """e i y t s d n m a al ic ed er ly en es on um us ti si is ant anc ent enc iv ion ation
    ment ness
    abl ibl ous or ar ate at it iti ty pt b ve ance ence"""
)
)  # fmt: skip
# Prefixes that turn a word into its opposite, or into its contrary number.
PREFIXES = (
    ("", "un"), ("", "in"), ("", "im"), ("", "ir"), ("", "il"), ("", "non"), ("", "de"),
    ("", "dis"), ("", "ab"), ("", "a"), ("", "anti"), ("hyper", "hypo"), ("over", "under"),
    ("pre", "post"),
    ("endo", "exo"), ("intra", "extra"), ("intra", "inter"), ("micro", "macro"),
    ("brady", "tachy"), ("poly", "oligo"), ("leuko", "erythro"), ("in", "ex"), ("ante", "post"),
    ("vaso", "veno"), ("sub", "supra"), ("homo", "hetero"), ("ana", "cata"),
)  # fmt: skip


def synonym_groups() -> list[list[str]]:
    """Words that may stand for one another, the name of the notion first."""
    return [group.split() for group in _SYNONYMS.split(";")]


def opposites() -> list[tuple[list[str], list[str]]]:
    """Pairs of word classes that contradict each other."""
    pairs = []
    for line in " ".join(_OPPOSITES.split()).split(";"):
        one, _, other = line.partition(" / ")
        pairs.append((one.split(), other.split()))
    return pairs


GENERAL = frozenset(_GENERAL) | STOPWORDS
PHRASE = re.compile(
    r"\b(?:" + "|".join(sorted(map(re.escape, PHRASES), key=len, reverse=True)) + r")\b"
)
