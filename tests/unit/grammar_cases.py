"""What the grammar must read: the tables behind test_grammar.py. Written before the grammar itself.

Each table is text, one case a line, so that it reads as a table: `PARSES` is text | subject | relation | object |
a chat question | a raw cloze; `REFUSALS` is text | words that the reason must contain; lines with # are headings.
"""

# ruff: noqa: E501 - a table

from __future__ import annotations


def _rows(table: str) -> list[tuple[str, ...]]:
    lines = (line.strip() for line in table.strip().splitlines())
    return [tuple(cell.strip() for cell in line.split(" | ")) for line in lines if line and not line.startswith("#")]


PARSES = _rows("""
# Lexical verbs, simple present.
Idris Larsson works as a carpenter. | Idris Larsson | work as | carpenter | What does Idris Larsson work as? | Idris Larsson works as a
Viktor Sørensen lives in Portland. | Viktor Sørensen | live in | Portland | Where does Viktor Sørensen live? | Viktor Sørensen lives in
José speaks Portuguese. | José | speak | Portuguese | What does José speak? | José speaks
Dr. Chen drives a red Volvo. | Dr. Chen | drive | red Volvo | What does Dr. Chen drive? | Dr. Chen drives a
My sister Anna teaches chemistry in Lyon. | the user's sister Anna | teach | chemistry | What does my sister Anna teach in Lyon? | My sister Anna teaches
I prefer tea to coffee | the user | prefer | tea | What do I prefer to coffee? | I prefer
I have two cats. | the user | have | two cats | How many cats do I have? | I have
Kemal brews stout. | Kemal | brew | stout | What does Kemal brew? | Kemal brews
Orla yodels professionally. | Orla | yodel | professionally | How does Orla yodel? | Orla yodels
Anna-Lena studies medicine. | Anna-Lena | study | medicine | What does Anna-Lena study? | Anna-Lena studies
Marco plays for Juventus. | Marco | play for | Juventus | Who does Marco play for? | Marco plays for
Nadia owns a bakery. | Nadia | own | bakery | What does Nadia own? | Nadia owns a
Tomasz believes in ghosts. | Tomasz | believe in | ghosts | What does Tomasz believe in? | Tomasz believes in
Sean O'Brien collects old stamps. | Sean O'Brien | collect | old stamps | What does Sean O'Brien collect? | Sean O'Brien collects
Jan van der Berg repairs clocks. | Jan van der Berg | repair | clocks | What does Jan van der Berg repair? | Jan van der Berg repairs
Ludwig von Hagen lives in St. Gallen. | Ludwig von Hagen | live in | St. Gallen | Where does Ludwig von Hagen live? | Ludwig von Hagen lives in
The museum houses Roman coins. | the museum | house | Roman coins | What does the museum house? | The museum houses
Priya comes from Chennai. | Priya | come from | Chennai | Where does Priya come from? | Priya comes from
The train leaves at 8:15. | the train | leave at | 8:15 | When does the train leave? | The train leaves at
The shop opens on Mondays. | the shop | open on | Mondays | When does the shop open? | The shop opens on
My laptop runs Debian. | the user's laptop | run | Debian | What does my laptop run? | My laptop runs
My work laptop runs Linux. | the user's work laptop | run | Linux | What does my work laptop run? | My work laptop runs
Our neighbour Mr. Blake keeps bees. | the user's neighbour Mr. Blake | keep | bees | What does our neighbour Mr. Blake keep? | Our neighbour Mr. Blake keeps
Viktor Banks lives in Leeds. | Viktor Banks | live in | Leeds | Where does Viktor Banks live? | Viktor Banks lives in
The ticket costs 40 euros. | the ticket | cost | 40 euros | How much does the ticket cost? | The ticket costs
Farid loves his garden. | Farid | love | garden | What does Farid love? | Farid loves his
Zoë wears size 38 shoes. | Zoë | wear | size 38 shoes | What does Zoë wear? | Zoë wears
Water boils at 100 degrees. | water | boil at | 100 degrees | What does water boil at? | Water boils at
Cats eat mice. | cats | eat | mice | What do cats eat? | Cats eat
My parents live in Ghent. | the user's parents | live in | Ghent | Where do my parents live? | My parents live in
The children play football. | the children | play | football | What do the children play? | The children play
Anna and Piotr run a café. | Anna and Piotr | run | café | What do Anna and Piotr run? | Anna and Piotr run a
Ravi graduated from Leiden University. | Ravi | graduate from | Leiden University | What did Ravi graduate from? | Ravi graduated from
I work for a small publisher. | the user | work for | small publisher | Who do I work for? | I work for a
I speak Finnish at home. | the user | speak | Finnish | What do I speak at home? | I speak
I weigh 70 kg. | the user | weigh | 70 kg | How much do I weigh? | I weigh
We live in Aarhus. | the user | live in | Aarhus | Where do we live? | We live in
# Simple past.
Greta grew up in Bergen. | Greta | grow up in | Bergen | Where did Greta grow up? | Greta grew up in
Leila founded a bank. | Leila | found | bank | What did Leila found? | Leila founded a
Otto wrote a novel in 1987. | Otto | write | novel | What did Otto write in 1987? | Otto wrote a
Mei studied law at Oxford. | Mei | study | law | What did Mei study at Oxford? | Mei studied
I moved to Tallinn in 2019. | the user | move to | Tallinn | Where did I move to in 2019? | I moved to
I bought a blue bicycle. | the user | buy | blue bicycle | What did I buy? | I bought a
My grandfather fought in Korea. | the user's grandfather | fight in | Korea | Where did my grandfather fight? | My grandfather fought in
Hugo put the key under the doormat. | Hugo | put | key | What did Hugo put under the doormat? | Hugo put the
The car cost 9000 dollars. | the car | cost | 9000 dollars | How much did the car cost? | The car cost
Anna gave Tom a watch. | Anna | give Tom | watch | What did Anna give Tom? | Anna gave Tom a
Aunt Rosa taught me Italian. | Aunt Rosa | teach me | Italian | What did Aunt Rosa teach me? | Aunt Rosa taught me
Magellan sailed around the world. | Magellan | sail around | world | What did Magellan sail around? | Magellan sailed around the
# Copula with a noun or an adjective.
Ines is a nurse. | Ines | be | nurse | What is Ines? | Ines is a
Boris is an architect. | Boris | be | architect | What is Boris? | Boris is an
Paris is the capital of France. | Paris | be | capital of France | What is Paris? | Paris is the
Ken is afraid of spiders. | Ken | be afraid of | spiders | What is Ken afraid of? | Ken is afraid of
I am allergic to peanuts. | the user | be allergic to | peanuts | What am I allergic to? | I am allergic to
I'm allergic to penicillin | the user | be allergic to | penicillin | What am I allergic to? | I am allergic to
I am a vegetarian. | the user | be | vegetarian | What am I? | I am a
My car is a Skoda. | the user's car | be | Skoda | What is my car? | My car is a
Mila is very good at chess. | Mila | be good at | chess | What is Mila very good at? | Mila is very good at
Ahmed is from Cairo. | Ahmed | be from | Cairo | Where is Ahmed from? | Ahmed is from
My keys are in the blue drawer. | the user's keys | be in | blue drawer | Where are my keys? | My keys are in the
The meeting is at 3 pm. | the meeting | be at | 3 pm | When is the meeting? | The meeting is at
My birthday is on 3 May. | the user | birthday be | 3 May | When is my birthday? | My birthday is on
The wifi password hint is blue. | the wifi password hint | be | blue | What is the wifi password hint? | The wifi password hint is
Elena is 42 years old. | Elena | be | 42 years old | How old is Elena? | Elena is
I am 29 years old. | the user | be | 29 years old | How old am I? | I am
The cellar is damp. | the cellar | be | damp | What is the cellar like? | The cellar is
Luca is interested in astronomy. | Luca | be interested in | astronomy | What is Luca interested in? | Luca is interested in
Nora was a pilot. | Nora | be | pilot | What was Nora? | Nora was a
Tuesday is my day off. | Tuesday | be | day off | What is Tuesday? | Tuesday is my
# Attributes: X of Y, Y's X, my X.
The favourite food of Mara Lindqvist is ramen. | Mara Lindqvist | favourite food be | ramen | What is the favourite food of Mara Lindqvist? | The favourite food of Mara Lindqvist is
Mara's favourite food is ramen. | Mara | favourite food be | ramen | What is Mara's favourite food? | Mara's favourite food is
Mara's favorite food is ramen. | Mara | favourite food be | ramen | What is Mara's favorite food? | Mara's favorite food is
My favourite food is ramen. | the user | favourite food be | ramen | What is my favourite food? | My favourite food is
My favourite colour is green. | the user | favourite colour be | green | What is my favourite colour? | My favourite colour is
The capital of Zembla is Onhava. | the capital of Zembla | be | Onhava | What is the capital of Zembla? | The capital of Zembla is
Anna's husband is Piotr. | Anna | husband be | Piotr | Who is Anna's husband? | Anna's husband is
The husband of Anna is Piotr. | Anna | husband be | Piotr | Who is the husband of Anna? | The husband of Anna is
My wife is Claire. | the user | wife be | Claire | Who is my wife? | My wife is
The CEO of Acme is Jane Holt. | the CEO of Acme | be | Jane Holt | Who is the CEO of Acme? | The CEO of Acme is
My phone number is 555 0199. | the user | phone number be | 555 0199 | What is my phone number? | My phone number is
Thomas's boat is the Marigold. | Thomas | boat be | Marigold | What is Thomas's boat? | Thomas's boat is the
The Joneses' house is in Bath. | the Joneses' house | be in | Bath | Where is the Joneses' house? | The Joneses' house is in
# Names.
My dog is called Biscuit. | the user's dog | be called | Biscuit | What is my dog called? | My dog is called
my dog is called biscuit | the user's dog | be called | biscuit | What is my dog called? | My dog is called
My dog's called Biscuit. | the user's dog | be called | Biscuit | What is my dog called? | My dog is called
My dog’s name is Biscuit. | the user's dog | be called | Biscuit | What is my dog's name? | My dog's name is
My dog is named Biscuit. | the user's dog | be called | Biscuit | What is my dog named? | My dog is named
The name of my boat is Calypso. | the user's boat | be called | Calypso | What is the name of my boat? | The name of my boat is
My name is Theo. | the user | be called | Theo | What is my name? | My name is
I am called Theo. | the user | be called | Theo | What am I called? | I am called
Selma's cat is called Miso. | Selma's cat | be called | Miso | What is Selma's cat called? | Selma's cat is called
My brother's wife is called Eva. | the user's brother's wife | be called | Eva | What is my brother's wife called? | My brother's wife is called
# Passives and participles.
I was born in Turin. | the user | be born in | Turin | Where was I born? | I was born in
I was born in 1990. | the user | be born in | 1990 | When was I born? | I was born in
Acme was founded by Jane Holt. | Acme | be founded by | Jane Holt | Who was Acme founded by? | Acme was founded by
The square is named after Garibaldi. | the square | be named after | Garibaldi | Who is the square named after? | The square is named after
Olga is married to Sven. | Olga | be married to | Sven | Who is Olga married to? | Olga is married to
The vase is made of glass. | the vase | be made of | glass | What is the vase made of? | The vase is made of
The office is located in Utrecht. | the office | be located in | Utrecht | Where is the office located? | The office is located in
Tim was elected mayor of Salem. | Tim | be elected | mayor of Salem | What was Tim elected? | Tim was elected
# Auxiliaries and aspect.
Our office has moved to Leeds. | the user's office | move to | Leeds | Where has our office moved to? | Our office has moved to
Anna has been living in Lyon since 2010. | Anna | live in | Lyon | Where has Anna been living since 2010? | Anna has been living in
Pia is going to move to Oslo. | Pia | move to | Oslo | Where is Pia going to move to? | Pia is going to move to
Carl will study physics. | Carl | study | physics | What will Carl study? | Carl will study
Yusuf can play the violin. | Yusuf | can play | violin | What can Yusuf play? | Yusuf can play the
Ella is learning Greek. | Ella | learn | Greek | What is Ella learning? | Ella is learning
I'm learning Welsh. | the user | learn | Welsh | What am I learning? | I am learning
I've adopted a parrot. | the user | adopt | parrot | What have I adopted? | I have adopted a
Anna's a dentist. | Anna | be | dentist | What is Anna? | Anna is a
Anna's teaching maths. | Anna | teach | maths | What is Anna teaching? | Anna is teaching
Anna's moved to Graz. | Anna | move to | Graz | Where has Anna moved to? | Anna has moved to
I used to live in Bremen. | the user | use to live in | Bremen | Where did I use to live? | I used to live in
Rosa now works at a bank. | Rosa | work at | bank | Where does Rosa now work? | Rosa now works at a
My uncle has a farm. | the user's uncle | have | farm | What does my uncle have? | My uncle has a
The house has got three floors. | the house | have | three floors | How many floors has the house got? | The house has got
# Infinitives and gerunds.
I want to learn French. | the user | want to learn | French | What do I want to learn? | I want to learn
Sami likes playing chess. | Sami | like playing | chess | What does Sami like playing? | Sami likes playing
Emma likes to swim. | Emma | like to | swim | What does Emma like to do? | Emma likes to
Emma enjoys swimming. | Emma | enjoy | swimming | What does Emma enjoy? | Emma enjoys
# As people type.
i live in leeds | the user | live in | leeds | Where do I live? | I live in
viktor banks lives in portland | viktor banks | live in | portland | Where does viktor banks live? | Viktor banks lives in
my cat hates thunder! | the user's cat | hate | thunder | What does my cat hate? | My cat hates
  my   favourite food	is  ramen  | the user | favourite food be | ramen | What is my favourite food? | My favourite food is
im a plumber | the user | be | plumber | What am I? | I am a
Please remember that my dog is called Biscuit. | the user's dog | be called | Biscuit | What is my dog called? | My dog is called
By the way, I play the cello. | the user | play | cello | What do I play? | I play the
In 2019, Anna moved to Lyon. | Anna | move to | Lyon | Where did Anna move to in 2019? | Anna moved to
# Subjects and objects of other shapes.
Will Smith lives in Los Angeles. | Will Smith | live in | Los Angeles | Where does Will Smith live? | Will Smith lives in
The owner of the bakery speaks Basque. | the owner of the bakery | speak | Basque | What does the owner of the bakery speak? | The owner of the bakery speaks
The man in the red hat sells newspapers. | the man in the red hat | sell | newspapers | What does the man in the red hat sell? | The man in the red hat sells
My brother and I own a sailing boat. | the user's brother and the user | own | sailing boat | What do my brother and I own? | My brother and I own a
I like apples, pears and plums. | the user | like | apples, pears and plums | What do I like? | I like
Anna lives in Lyon, France. | Anna | live in | Lyon | Where does Anna live? | Anna lives in
Jonas works for a company that makes shoes. | Jonas | work for | company | Who does Jonas work for? | Jonas works for a
The password of the safe is kept in a red envelope. | the password of the safe | be kept in | red envelope | Where is the password of the safe kept? | The password of the safe is kept in a
Grandma lives with my brother. | Grandma | live with | brother | Who does Grandma live with? | Grandma lives with my
Sara works 20 hours a week. | Sara | work | 20 hours | How many hours does Sara work a week? | Sara works
Sgt. Müller-Lüdenscheidt commands the third platoon. | Sgt. Müller-Lüdenscheidt | command | third platoon | What does Sgt. Müller-Lüdenscheidt command? | Sgt. Müller-Lüdenscheidt commands the
""")

REFUSALS = _rows("""
123 456 | letters
?!... | letters
🙂🙂 | letters
# Questions.
Where does Viktor live? | question
Is Anna a nurse | question
who is the capital of Zembla | question
Do you know Anna | question
Anna is a nurse? | question
Can Tom swim | question
# Orders and exclamations.
Call me Sam. | order
Tell Anna dinner is ready. | order
Please close the door. | order
Don't touch the stove. | not
Let us go home. | order
Wow! | verb
Happy birthday! | verb
Good morning | verb
What a day! | question
# Conditionals and possibilities.
If I win the lottery, I will buy a boat. | condition
I will buy a boat if I win the lottery. | condition
Unless it rains, Anna walks home. | condition
I would like a coffee. | would
Anna might move to Leeds. | might
Anna may be in Leeds. | may
Tom could be a doctor. | could
I wish Anna lived in Leeds. | one thing
# Negations.
I am not a doctor. | not
I'm not from Leeds. | not
Anna doesn't eat meat. | not
Anna never eats meat. | never
Nobody lives in Zembla. | nobody
I have no siblings. | no
Anna no longer works at the bank. | no
Anna cannot swim fast. | not
Neither Anna nor Tom likes tea. | neither
# Who or what is meant.
She lives in Portland. | who
He is a nurse. | who
It is blue. | what
They moved to Leeds. | who
This is a bakery. | what
That car is a Volvo. | what
His dog is called Rex. | whose
Their house is in Bath. | whose
he's a nurse | who
Someone stole my bike. | who
You are a language model. | assistant
I like your voice. | assistant
Anna met him in Leeds. | him
Tom likes it. | it
There is a bakery in our street. | there
My mother lives with me. | me
# No verb or no object.
The red car | verb
Anna | verb
blue green yellow | verb
Idris works. | object
My dog is. | object
Viktor lives in. | object
# Somebody's words, hedges.
Anna said that Tom is a doctor. | one thing
Anna said "hello". | quot
Anna thinks Tom is a doctor. | one thing
Maybe Anna lives in Leeds. | maybe
Anna probably lives in Leeds. | probably
I think Anna lives in Leeds. | one thing
It seems Anna likes tea. | what
Perhaps my dog is ill. | perhaps
# Several statements, or a shape that is not understood.
Anna is a nurse. Tom is a cook. | one
Viktor lives in Portland and works as a librarian. | one
My dog is called Biscuit and he is brown. | one
Anna lives in Leeds because Tom works there. | one
My sister, who lives in Lyon, teaches chemistry. | comma
The cake my mother made is delicious. | subject
Anna loves Anna. | subject
Mary had a little lamb whose fleece was white as snow and it followed her to school. | one
""")

ODD_REFUSALS = [
    ("", "empty"),
    ("   \n ", "empty"),
    ("Anna likes " + "very " * 70 + "long books.", "300"),
]

SPLITS: list[tuple[str, list[str]]] = [
    ("", []),
    ("Anna is a nurse. Tom is a cook.", ["Anna is a nurse.", "Tom is a cook."]),
    (
        "Dr. Chen lives in St. Gallen. I was born at 3.15 p.m. in Turin.",
        ["Dr. Chen lives in St. Gallen.", "I was born at 3.15 p.m. in Turin."],
    ),
    ("my dog is called biscuit\nmy cat is called miso", ["my dog is called biscuit", "my cat is called miso"]),
    (
        "Viktor lives in Portland and works as a librarian.",
        ["Viktor lives in Portland.", "Viktor works as a librarian."],
    ),
    ("I live in Leeds and work as a nurse.", ["I live in Leeds.", "I work as a nurse."]),
    ("My dog is called Biscuit and is four years old.", ["My dog is called Biscuit.", "My dog is four years old."]),
    ("Ada was born in Turin and raised in Milan.", ["Ada was born in Turin.", "Ada was raised in Milan."]),
    ("My dog is called Biscuit and he is brown.", ["My dog is called Biscuit.", "He is brown."]),
    ("Anna is a nurse and Tom is a cook.", ["Anna is a nurse.", "Tom is a cook."]),
    ("Anna likes cats and dogs.", ["Anna likes cats and dogs."]),
    ("Piet plays guitar and drums in a band.", ["Piet plays guitar and drums in a band."]),
    ("Anna and Piotr live in Lyon.", ["Anna and Piotr live in Lyon."]),
    ("J. R. Hartley wrote a book. It is about fishing!", ["J. R. Hartley wrote a book.", "It is about fishing!"]),
    ("What is my dog called? My dog is called Biscuit.", ["What is my dog called?", "My dog is called Biscuit."]),
    ("Hugo moved to Leeds, and he founded a company.", ["Hugo moved to Leeds.", "He founded a company."]),
]

#: text | whether a new value replaces it | its slot
SLOTS = _rows("""
The garage code is 4821. | yes | garage code|be
The wifi network is Hyrax. | yes | wifi network|be
The cellar is damp. | no | cellar|be
I use Arch Linux. | no | the user|use
Anna uses Linux. | no | anna|use
I used to live in Bremen. | no | the user|use to live in
I reside in York. | yes | the user|live in
My flight to Oslo is on 3 June. | yes | the user|flight to oslo be
I want to be called Sam. | yes | the user|want to be called
I love hiking. | no | the user|like
""")
