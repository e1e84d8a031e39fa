# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""A grammar of short stories, the whole training text of the demo model.

`story(rng)` returns one story, `chat(rng)` one conversation. All the text is ours, so the models
trained on it carry no other licence. Templates are expanded in two ways: `[a|b|c]` picks one
alternative, earlier ones more often, and `{name}` is replaced from the cast of the story.
The uneven choice is on purpose: a model that has learned it has a clear favourite at each branch,
so its greedy text is the same on every machine. `Dice` says how uneven.
"""

import random
import re

# Each hero kind has its own homes, habits and foods, so stories about different heroes differ.
# kind: (adjectives, homes, loves, foods)
ANIMALS = {
    "fox": ("little|clever|young", "at the edge of the forest|under an old oak tree",
            "to explore the woods|to chase falling leaves", "blackberry pie|warm soup"),
    "rabbit": ("small|shy|quick", "in a cosy burrow under the hill|in a green meadow",
               "to hop through the tall grass|to dig in the garden", "carrot cake|fresh carrots"),
    "mouse": ("tiny|brave|gentle", "in a small hole behind the bakery|inside an old clock",
              "to read tiny books|to collect shiny buttons", "cheese|bread and butter"),
    "bear": ("big|sleepy|kind", "in a quiet cave near the mountain|in a wooden house by the river",
             "to fish in the river|to nap in the sun", "honey|honey cakes"),
    "owl": ("wise|old|quiet", "in a hollow tree|in the tower of an old barn",
            "to count the stars|to listen to the wind", "mushroom soup|nut bread"),
    "cat": ("grey|curious|soft", "in a tall house by the harbour|in a little shop full of books",
            "to sit by the window|to climb up on the roof", "fish|warm milk"),
    "dog": ("happy|brown|loyal", "on a farm near the village|in a yellow house with a garden",
            "to run along the beach|to play with sticks", "sausages|biscuits"),
    "hedgehog": ("little|round|shy", "under a pile of leaves|behind the garden wall",
                 "to walk in the moonlight|to roll down the hill", "apple pie|baked apples"),
    "squirrel": ("busy|red|cheerful", "high up in a pine tree|in the park",
                 "to jump from branch to branch|to gather nuts", "nut cookies|roasted nuts"),
    "frog": ("green|funny|cheerful", "beside a quiet pond|under a lily leaf",
             "to sing in the evening|to jump over puddles", "berry jam|noodle soup"),
    "duck": ("yellow|cheerful|young", "by the lake|on a small island in the river",
             "to swim in circles|to splash in the rain", "corn bread|pea soup"),
    "turtle": ("slow|patient|old", "on a warm beach|near the old bridge",
               "to watch the clouds|to tell long stories", "green salad|melon"),
    "penguin": ("round|merry|small", "on a snowy island|near the cold sea",
                "to slide on the ice|to dance in the snow", "fish soup|pancakes"),
    "elephant": ("young|gentle|big", "by a wide river|near a tall red hill",
                 "to play in the water|to smell the flowers", "bananas|mango cake"),
    "robot": ("small|shiny|polite", "in a workshop full of tools|on top of a tall tower",
              "to fix broken things|to count everything", "toast and butter|pancakes"),
    "dragon": ("small|purple|friendly", "in a castle on the hill|inside a warm mountain",
               "to fly above the clouds|to warm the tea", "hot peppers|toasted bread"),
    "princess": ("clever|brave|young", "in a castle by the lake|in a palace full of clocks",
                 "to climb the castle walls|to ask questions", "raspberry tart|honey bread"),
    "knight": ("brave|clumsy|polite", "in a castle with a broken gate|in a round stone tower",
               "to polish old shields|to ride through the hills", "bean stew|cheese pie"),
    "pirate": ("merry|young|brave", "on a ship with red sails|on a sandy island",
               "to sail at night|to draw treasure maps", "coconut cake|fried fish"),
    "wizard": ("old|clumsy|kind", "in a crooked tower|in a hut behind the moor",
               "to mix strange potions|to talk to the birds", "pumpkin soup|ginger cake"),
    "lion": ("proud|golden|gentle", "on a wide plain|under a shady tree",
             "to lie in the sun|to roar at the moon", "roast potatoes|corn pie"),
    "wolf": ("grey|quiet|clever", "in the northern hills|at the edge of the village",
             "to sing to the moon|to run in the snow", "hot stew|meat pie"),
    "monkey": ("cheeky|quick|funny", "in a fig tree|in a house made of leaves",
               "to swing from the trees|to play tricks", "figs|banana bread"),
    "cow": ("spotted|gentle|calm", "in a green field|in a red barn",
            "to chew and think|to look at the clouds", "clover salad|oat cakes"),
    "pig": ("pink|round|merry", "on a farm by the road|in a house made of bricks",
            "to roll in the mud|to dig for treasure", "potato soup|plum cake"),
    "horse": ("white|fast|gentle", "in a stable near the road|on a wide green hill",
              "to gallop along the river|to jump over fences", "sweet oats|apple cake"),
}
GIRLS = "Mia Lily Nora Ruby Anna Zoe Ella Rosa Clara Ivy Emma Sara".split()
BOYS = "Tom Leo Ben Max Sam Finn Hugo Theo Jack Noah Adam Luca".split()
KIDS = {
    "girl": ("brave|kind|curious", "in a white house near the sea|in a small village",
             "to draw pictures|to climb trees", "pancakes|strawberry cake"),
    "boy": ("cheerful|quiet|clever", "in a house at the end of the street|on a small farm",
            "to build things|to look at the stars", "apple pie|chocolate cake"),
}
ANIMAL_GIRLS = "Hazel Daisy Poppy Maple Clover Bella Luna Pearl Olive Honey Willow Rosie".split()
ANIMAL_BOYS = "Pip Rusty Milo Otto Bramble Biscuit Felix Bruno Toby Oscar Basil Pepper".split()

FRIENDS = {  # friend: how the story introduces it
    "owl": "a wise old owl|an owl with big round eyes",
    "rabbit": "a small white rabbit|a rabbit with long ears",
    "bear": "a big brown bear|a friendly bear",
    "squirrel": "a busy squirrel|a squirrel with a nut in each hand",
    "turtle": "a slow old turtle|a patient turtle",
    "robin": "a cheerful robin|a robin with a bright red chest",
    "badger": "a grumpy badger|a badger with a walking stick",
    "goat": "a white goat|a goat with a silver bell",
    "mole": "a mole with thick glasses|a sleepy mole",
    "crow": "a clever black crow|a crow in a tiny hat",
    "horse": "a tall brown horse|a gentle horse",
    "hen": "a plump hen|a hen with a red comb",
    "frog": "a green frog|a frog with a deep voice",
    "cat": "a grey cat|a cat with white paws",
}

OBJECTS = {  # object: (adjectives, how it was lost, where it is found)
    "kite": ("red|blue|yellow", "The wind had carried it away", "in the top of a tall tree"),
    "hat": ("green|red|straw", "The wind had blown it away", "on the branch of a pine tree"),
    "key": ("golden|silver|rusty", "It had fallen through a hole in {his} pocket",
            "under a flat stone"),
    "ball": ("blue|striped|red", "It had rolled all the way down the hill",
             "between two bushes"),
    "bell": ("silver|golden|little", "A magpie had taken it", "in a nest above the gate"),
    "scarf": ("orange|long|purple", "It had been caught on the fence", "on the garden fence"),
    "boat": ("wooden|paper|white", "The river had carried it away", "between the water lilies"),
    "lantern": ("brass|little|green", "It had been left behind after the party",
                "on the old bridge"),
    "drum": ("red|round|tin", "It had rolled off the wagon", "in the tall grass"),
    "spoon": ("silver|wooden|long", "A crow had carried it off", "on the roof of the barn"),
}
PLACES = ("the old mill|the river|the market|the apple trees|the stone bridge|the pond"
          "|the hill|the barn|the school|the harbour").split("|")

OPENINGS = [
    "Once upon a time, there was a {adj} {kind} named {N}. {He} lived {home}.",
    "Once upon a time, a {adj} {kind} called {N} lived {home}.",
    "{N} was a {adj} {kind} who lived {home}.",
    "The {adj} {kind} lived {home}. {His} name was {N}.",
    "The little {kind} lived {home}. {His} name was {N}.",
    "There once was a {adj} {kind} named {N}, who lived {home}.",
    "Long ago, a {adj} {kind} named {N} lived {home}.",
    "Far away, there lived a {adj} {kind}. {His} name was {N}.",
    "Deep in the [forest|mountains], there lived a {adj} {kind} named {N}.",
    "In a [quiet valley|distant land|small town] there lived a {adj} {kind} named {N}.",
    "This is the story of {N}, a {adj} {kind}.",
    "{N} the {kind} lived {home}.",
]
HABITS = [
    "{He} loved {love}.",
    "Every [day|morning], {he} liked {love}.",
    "{He} loved {love}, and {he} loved {food} even more.",
    "{He} loved to eat {food}.",
    "",
]
END_FRIENDS = ("[From that day on, {N} and {f} were the best of friends."
               "|That evening, they ate {food} together until the stars came out."
               "|And {N} smiled all the way home."
               "|Since then, {N} and {f} meet every Sunday.]")
END_NIGHT = ("[That night, {N} slept very well and dreamed of [the moon|new adventures|the summer]."
             "|And {N} never forgot that day."
             "|{N} went to bed that night with a big smile.]")
DAY = "[One [sunny|windy|cold|quiet] morning|One day|On the first day of [spring|summer|autumn]]"
WET = "[One [rainy|grey] afternoon|One day|In the middle of autumn]"
NIGHT = "[One evening|One [dark|clear|warm] night|Late one evening]"
MEET = "[Just then|Soon|After a while], {f_intro} came [along|down the path|by]."
THANKS = ("[\"Thank you, dear {friend},\" said {N}. \"You are a [true|good|kind] friend.\""
          "|\"Thank you for your help,\" said {N}. \"I could not have done it alone.\"]")

LOST = """
{N} had a {colour} {obj}. [It was a gift from {his} grandmother|{He} had found it long ago|{He}
took it everywhere]. {T}, the {obj} was gone! "Where is my {obj}?" cried {N}. {He} looked [under
the bed|behind the door|in the garden], but it was not there. {He} looked [near|by] {p1}, but it
was not there either. {N} sat down and [began to cry|felt very sad|did not know what to do]. {meet}
"Why are you so sad?" asked {f}. "I have lost my {colour} {obj}," said {N}. "[Do not worry|Dry your
tears]," said {f}. "We will look for it together." [So they walked|They went] past {p1} and around
{p2}. They looked [high and low|left and right|up and down]. Suddenly {f} stopped. "Look!" said
{f}. "There is something {colour} {where}!" It was the {obj}! {how}. {N} laughed and jumped for
joy. {thanks} {end_friends}
"""
FRIEND = """
But {N} was [often lonely|a little lonely], because there was nobody to play with. {T}, {he} walked
to {p1}. There {he} saw {f_intro} sitting all alone. {N} wanted to say hello, but {he} was [too
shy|a bit afraid]. So {he} [hid behind a bush|waited behind a tree] and watched. Then {he} took a
deep breath. "Hello," said {N}. "My name is {N}. Would you like to play with me?" {Thef} looked up
and smiled. "Yes, please!" said {f}. "I was hoping that somebody would ask." They played [hide and
seek|catch|games] near {p2} until the sun went down. {N} shared {his} {food}, and {f} told a
[funny|long|silly] story. "Can we play again tomorrow?" asked {f}. "[Of course|Yes, every day]!"
said {N}. {end_friends}
"""
STORM = """
{wet}, dark clouds came over {p1}. The wind began to [blow|howl], and soon it was raining hard. {N}
ran home and closed the door. Then {he} heard a knock. "Who is there?" asked {N}. "It is only me,"
said a small voice. {He} opened the door and saw {f_intro}, wet from head to toe. "The storm has
broken my roof," said {f}. "May I come in?" "[Of course|Come in, come in]!" said {N}. "There is a
fire, and we can eat {food}." They sat by the fire and listened to the rain. [When the thunder
rolled, they held hands|{N} told a story, and {f} sang a song]. In the morning, the sky was blue
again. "Now let us fix your roof," said {N}. They [worked all day|carried wood and nails], and in
the evening the roof was [as good as new|stronger than before]. {thanks2} {end_friends}
"""
DARK = """
{N} had a secret. {He} was afraid of {fear}. {T}, {N} told {f_intro} about it. "{fearline}," said
{N}, "and my knees begin to shake." {Thef} did not laugh. "Everybody is afraid of something," said
{f}. "[I will stay with you|We can try it together]. Take one small step." {N} held {his} breath
and took one small step. Nothing bad happened. Then {he} took another step, and another. "{brave}!"
[said|cried] {N}. "I did it!" "I knew that you could," said {f}. [They laughed and laughed|They
danced in a circle]. After that, {N} was still a little afraid, but {he} knew what to do. {He} only
had to take one small step. {end_night}
"""
FEARS = {  # fear: (how it feels, what is found)
    "the dark": ("When the lamp goes out, I see shadows", "The dark is full of stars"),
    "deep water": ("When I see the lake, I think of the bottom", "The water is holding me up"),
    "high places": ("When I look down, everything spins", "I can see the whole valley from here"),
    "thunder": ("When the sky rumbles, I hide under the bed", "The thunder sounds like a big drum"),
    "the forest": ("When the branches creak, I run away", "The forest is full of songs"),
}
MAKE = """
{T}, {N} decided to build {a_thing}. "It will be the best {thing} in the world," {he} said. {He}
worked [all morning|for three hours|all day]. But when {he} {test}, {fail}. "Oh dear," said {N}.
[{He} kicked a stone|{He} sat down with a sigh|{He} wanted to give up]. {meet} "What is wrong?"
asked {f}. "My {thing} does not work," said {N}. {Thef} looked at it [carefully|from all sides]. "I
think it needs {part}," said {f}. So they went to {p1} and found {part}. Then they tried again.
This time, {win}! "[Hooray|We did it]!" they shouted. {thanks} {end_friends}
"""
THINGS = {  # thing: (test, failure, missing part, success)
    "raft": ("put it on the water", "it sank at once", "a dry log",
             "the raft floated down the river"),
    "kite": ("let it go", "it fell on the ground", "a longer tail",
             "the kite flew up to the clouds"),
    "swing": ("sat on it", "the rope broke", "a stronger rope",
              "the swing went higher than the fence"),
    "wagon": ("pulled it", "a wheel came off", "a wooden wheel",
              "the wagon rolled along the road"),
    "flute": ("blew into it", "no sound came out", "a hollow reed",
              "the flute played a sweet song"),
    "windmill": ("waited for the wind", "it did not turn", "a drop of oil",
                 "the windmill turned round and round"),
}
SHARE = """
{T}, {N} found a [big basket|whole sack] of {fruit} near {p1}. "How lucky I am!" said {N}. "I will
keep them all for myself." {He} carried the {fruit} home and hid them [under the bed|behind the
door]. On the way back, {he} met {f_intro}. "I have not eaten since yesterday," said {f}. {N}
thought about the {fruit}. {He} thought for a long time. Then {he} [felt|was] sorry. "Come with
me," said {N}. "I have more than I can eat." They [baked a big cake|made a sweet pie] and sat down
at the table. [It tasted better than anything in the world|Everything tastes better when there are
two]. "Why do you share with me?" asked {f}. "Because {fruit} are sweeter with a friend," said {N}.
{end_friends}
"""
FRUITS = "apples|pears|plums|cherries|berries|peaches".split("|")
STAR = """
{night}, {N} saw a light [fall from the sky|near {p1}]. {He} ran to look. There, in the [wet
grass|soft moss], lay a little star. "[Please help me|Can you help me]," whispered the star. "I
fell down, and I cannot find the way home." "I will help you," said {N}, "but the sky is very
high." {He} put the star in {his} pocket, where it was warm, and walked to {p2}. There {he} met
{f_intro}. "How can we reach the sky?" asked {N}. {Thef} thought for a moment. "[Climb up the
highest hill|Go to the top of the hill]," said {f}, "and wait for the moon." So {N} and {f} climbed
up and up. When the moon rose, it was so close that {N} could almost touch it. The star gave a
little jump and was home again. "Thank you!" it called. [Since then, one star winks at {N} every
night|If you look up tonight, you can see it shine]. {end_night}
"""
JOURNEY = """
But {N} had never seen {goal}. {T}, {he} packed {food} and a [warm blanket|small lamp] and [set
off|left home]. {He} walked past {p1} and past {p2}. Before long {his} feet were tired. {meet}
"Where are you going?" asked {f}. "I am going to see {goal}," said {N}. "Is it far?" "It is not far
if we go together," said {f}. So they went on side by side. They [sang songs|counted the birds|told
jokes], and the road seemed short. At last they came to the top of the last hill. "Look!" said {f}.
There it was. {goalline}. {N} did not say a word for a long time. "It is even [bigger|more
beautiful] than I thought," {he} whispered. Then they shared the {food} and watched until evening.
{end_night}
"""
GOALS = {
    "the sea": "The sea was wide and blue, and white birds flew above it",
    "the big city": "A thousand windows were shining in the sun",
    "the snow": "The whole valley was white and still",
    "the waterfall": "The water came down like a silver curtain",
    "the desert": "Golden sand went on and on under the sky",
}
SOUND = """
{night}, {N} heard a strange sound. "{noise}," it went. "{noise}." {N} [sat up|listened]. "What can
that be?" {he} said. {He} took a [lamp|lantern] and went outside. The sound came from {p1}. On the
way, {he} met {f_intro}. "Do you hear it too?" asked {f}. "Yes," said {N}. "Let us find out what it
is." They [walked on tiptoe|went very slowly]. The sound grew louder and louder. "{noise}!" {N}
held up the light and looked {hide}. It was only {source}! "[So that is the monster|What a funny
monster]," said {f}, and they both laughed. {fix} [After that, the night was quiet again|Then it
was quiet again]. {end_night}
"""
NOISES = {  # noise: (where, source, what they did)
    "Tap, tap, tap": ("behind a barrel", "a woodpecker who could not sleep",
                      "They sang a song for the woodpecker until it closed its eyes."),
    "Creak, creak": ("around the corner", "an old door in the wind",
                     "They closed the door and put a stone in front of it."),
    "Mew, mew": ("into a basket", "a kitten that had lost its way",
                 "They carried the kitten home to its mother."),
    "Drip, drip, drip": ("under the roof", "a hole in the water pipe",
                         "They closed the hole with a piece of wood."),
    "Hoo, hoo": ("into a hollow tree", "the wind that blew across a hole",
                 "They filled the hole with soft moss."),
}
GARDEN = """
{T}, {f_intro} gave {N} a [tiny|small brown] seed. "Plant it and be patient," said {f}. {N} planted
the seed near {p1} and gave it some water. The next day, {he} ran to look, but there was nothing.
{He} looked again on the second day and on the third day. Still there was nothing. "[It will never
grow|My seed is broken]!" said {N}. "Good things take time," said {f}. So {N} waited. {He} watered
the seed [every morning|in the sun and in the wind]. {He} even sang to it. Then, [one morning|after
many days], there was a small green leaf. The leaf became a {plant}, and the {plant} grew [taller
than the fence|taller than {N}]. "You were right," said {N}. "It was worth the wait." {end_night}
"""
PLANTS = "sunflower|bean plant|pumpkin plant|apple tree|rose".split("|")
NEST = """
{T}, {N} heard somebody crying near {p1}. It was a {baby}. "I [cannot find|have lost] my mother,"
said the {baby}. "I will help you," said {N}. "What does she look like?" "She is the [kindest|most
beautiful] mother in the world," said the {baby}. {N} smiled, but that did not help very much. So
{he} took the {baby} along and asked everybody. First {he} asked {f_intro}. "I saw a mother near
{p2}," said {f}. "She was looking for somebody small." They [hurried|ran] to {p2} as fast as they
could. "Mama!" cried the {baby}. "There you are!" said the mother, and she [hugged|kissed] her
little one. Then she thanked {N} and gave {him} {food}. {f_bye} {end_night}
"""
BABIES = "duckling|chick|lamb|kitten|baby bird|baby rabbit".split("|")
RACE = """
{T}, there was a big race from {p1} to {p2}. {N} wanted to win [the golden cup|the first prize].
"Ready, steady, go!" called the judge, and everybody ran. {N} was [very fast|the fastest of all].
But in the middle of the race, {he} saw {f_intro}. {Thef} was sitting on the ground. "I have hurt
my foot," said {f}. {N} looked at the finish line. It was so close! Then {he} stopped. "Lean on
me," said {N}. "We will finish together." They came in last, but [everybody|the whole crowd]
clapped and cheered. "You did not win the race," said the judge, "but you have the biggest heart."
{N} got [a shiny medal|a golden star], and {f} got one too. {end_night}
"""

PLOTS = {  # plot: (template, what a reader may ask for)
    "lost": (LOST, "a lost {obj}|something that was lost"),
    "friend": (FRIEND, "making a new friend|a new friend"),
    "storm": (STORM, "a storm|a rainy night"),
    "star": (STAR, "a little star|the moon and a star"),
    "make": (MAKE, "building {a_thing}|{a_thing}"),
    "share": (SHARE, "sharing|a basket of {fruit}"),
    "journey": (JOURNEY, "a journey to {goal}|a long journey"),
    "sound": (SOUND, "a strange sound|a mystery"),
    "garden": (GARDEN, "a garden|a little seed"),
    "nest": (NEST, "a lost {baby}|helping others"),
    "dark": (DARK, "being brave|somebody who is afraid of {fear}"),
    "race": (RACE, "a race|a big race"),
}

EVEN = 0.9  # skew of what should stay varied however sharp the rest: heroes and requests

CHAT_REQUESTS = [
    "Tell me a story about {topic}.",
    "Tell me a story about {topic}!",
    "Please tell me a story about {topic}.",
    "Can you tell me a story about {topic}?",
    "Write a [short|little] story about {topic}.",
    "I would like a story about {topic}.",
    "A story about {topic}, please.",
]
OPEN_REQUESTS = ["Tell me a story.", "Tell me a story, please.", "Can you tell me a story?",
                 "I would like to hear a story.", "Write a story.", "Another one, please."]
GREETINGS = "Hello!|Hi!|Hello|Hi there!|Good morning!|Good evening!|Hello, how are you?".split("|")
GREETING_REPLIES = [
    "Hello! I am a very small storyteller. "
    "[Who should my story be about|Shall I tell you a story]?",
    "Hello! How nice to meet you. [Would you like to hear a story|Shall I tell you a story]?",
]
WHO = "Who are you?|What are you?|What is your name?|What can you do?|Who made you?".split("|")
WHO_REPLIES = [
    "I am a very small language model, and I know only one thing: how to tell short stories.",
    "I am a little storyteller. I can tell you about foxes, robots, lost kites and brave girls.",
]
THANKS_REQUESTS = ["Thank you!", "Thanks!", "Thank you for the story.", "That was nice.",
                   "Good night!"]
THANKS_REPLIES = ["You are welcome! Sleep well and dream of [foxes|stars|the sea].",
                  "You are welcome. Come back soon for another story!"]
OTHER_REQUESTS = [
    "What is the capital of [France|Spain|India|Japan]?",
    "How [much|many] is [two|three|ten] plus [two|five|nine]?",
    "How do I [bake bread|fix my bike|learn to swim|build a house]?",
    "Why is the [sky blue|sea salty|grass green]?",
    "What is the [weather|time|news] today?",
    "Can you [help me|write some code|sing|do my homework]?",
    "Who is the [president|king|fastest runner]?",
    "What is a [computer|number|language model|star]?",
    "Explain [the moon|music|how a clock works].",
]
OTHER_REPLIES = [
    "I do not know much about that. I only know short stories. Shall I tell you one?",
    "That is too hard for a small storyteller like me. But I can tell you a story!",
]
SYSTEM_PROMPTS = ["You are a kind storyteller.", "You are a helpful assistant.",
                  "You tell short stories."]


class Dice(random.Random):
    """Random numbers, and how uneven choices are: the i-th has weight (i + 1) ** -skew."""

    def __init__(self, seed, skew=0.9):
        super().__init__(seed)
        self.skew = skew


def pick(rng, options, turn=0, skew=None):
    """Returns one of `options`, earlier ones more often, after rotating them by `turn`."""
    skew = rng.skew if skew is None else skew
    options = options.split("|") if isinstance(options, str) else list(options)
    turn %= len(options)
    options = options[turn:] + options[:turn]
    return rng.choices(options, [(i + 1) ** -skew for i in range(len(options))])[0]


def expand(rng, template, cast=None):
    """Returns `template` with each [a|b] chosen and each {name} replaced from `cast`."""
    text = re.sub(r"\s*\n\s*", " ", template).replace("| ", "|")
    before = None
    while text != before:
        before = text
        text = re.sub(r"\[([^\[\]]*)\]", lambda match: pick(rng, match[1]), text)
        text = re.sub(r"\{(\w+)\}", lambda match: cast[match[1]], text)
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return re.sub(r"\s+", " ", text).strip()


def make_cast(rng, kind=None):
    """Returns the variables of one story and its plot; both depend on the hero's kind or name."""
    if kind is None:
        kind = pick(rng, KIDS if rng.random() < 0.2 else ANIMALS, skew=EVEN)
    if kind in KIDS:
        female = kind == "girl"
        name = pick(rng, GIRLS if female else BOYS, skew=EVEN)
        turn = 5 * (GIRLS if female else BOYS).index(name) + (0 if female else 2)
        adjectives, homes, loves, foods = KIDS[kind]
    else:
        turn = list(ANIMALS).index(kind)
        female = rng.random() < (0.35 if turn % 2 == 0 else 0.65) or kind == "princess"
        name = pick(rng, ANIMAL_GIRLS if female else ANIMAL_BOYS, turn)
        adjectives, homes, loves, foods = ANIMALS[kind]
    he, him, his = ("she", "her", "her") if female else ("he", "him", "his")
    friend = pick(rng, [f for f in FRIENDS if f != kind], turn)
    thing_lost = pick(rng, OBJECTS, turn)
    colours, how, where = OBJECTS[thing_lost]
    place = pick(rng, PLACES, turn)
    fear, thing, goal, noise = (pick(rng, d, turn) for d in (FEARS, THINGS, GOALS, NOISES))
    cast = {
        "N": name, "kind": kind, "adj": pick(rng, adjectives), "home": pick(rng, homes),
        "love": pick(rng, loves), "food": pick(rng, foods), "he": he, "him": him, "his": his,
        "He": he.capitalize(), "His": his.capitalize(),
        "friend": friend, "f": "the " + friend, "Thef": "The " + friend,
        "f_intro": pick(rng, FRIENDS[friend]),
        "obj": thing_lost, "colour": pick(rng, colours), "how": how, "where": where,
        "p1": place, "p2": pick(rng, [p for p in PLACES if p != place], turn),
        "fruit": pick(rng, FRUITS, turn), "plant": pick(rng, PLANTS, turn),
        "baby": pick(rng, [b for b in BABIES if kind not in b], turn),
        "fear": fear, "fearline": FEARS[fear][0], "brave": FEARS[fear][1],
        "thing": thing, "a_thing": "a " + thing, "goal": goal, "goalline": GOALS[goal],
        "noise": noise, "T": DAY, "night": NIGHT, "wet": WET, "meet": MEET, "thanks": THANKS,
        "thanks2": "\"Thank you for opening your door,\" said {f}.",
        "f_bye": "\"Well done!\" said {f}.",
        "end_friends": END_FRIENDS, "end_night": END_NIGHT,
    }
    cast.update(zip(("test", "fail", "part", "win"), THINGS[thing]))
    cast.update(zip(("hide", "source", "fix"), NOISES[noise]))
    return cast, pick(rng, PLOTS, turn)


def tell(rng, cast, plot, in_the_middle):
    """Returns the text of one story; `in_the_middle` leaves out the introduction of the hero."""
    body = PLOTS[plot][0].strip()
    if in_the_middle:
        first = "{N}" if cast["kind"] in KIDS else "{N} the {kind}"
        return expand(rng, body.removeprefix("But ").replace("{N}", first, 1), cast)
    return expand(rng, " ".join([pick(rng, OPENINGS), pick(rng, HABITS), body]), cast)


def story(rng):
    """Returns one story."""
    cast, plot = make_cast(rng)
    return tell(rng, cast, plot, rng.random() < 0.2)


def ask_and_tell(rng):
    """Returns a request for a story and the story."""
    topic = pick(rng, ["a {kind}", "{theme}", "a {kind} and {theme}", "a {kind} named {N}",
                       "a {adj} {kind}", None, "a {kind} called {N}"], skew=EVEN)
    any_kind = topic and "{kind}" in topic
    cast, plot = make_cast(rng, rng.choice([*ANIMALS, *KIDS]) if any_kind else None)
    cast.update(topic=topic, theme=pick(rng, PLOTS[plot][1], skew=EVEN))
    request = expand(rng, pick(rng, CHAT_REQUESTS if topic else OPEN_REQUESTS, skew=EVEN), cast)
    return as_typed(rng, request), tell(rng, cast, plot, False)


def as_typed(rng, request):
    """Returns `request`, now and then without its capital or its last mark."""
    if rng.random() < 0.15:
        request = request[0].lower() + request[1:]
    return request.rstrip(".!") if rng.random() < 0.2 else request


def chat(rng):
    """Returns one conversation as messages in the form of Hugging Face chat templates."""
    turns = []
    if rng.random() < 0.15:
        turns.append(("system", pick(rng, SYSTEM_PROMPTS)))
    kind = rng.random()
    small_talk = [(GREETINGS, GREETING_REPLIES), (WHO, WHO_REPLIES),
                  (OTHER_REQUESTS, OTHER_REPLIES)]
    if kind < 0.3:
        requests, replies = rng.choice(small_talk)
        turns += [("user", as_typed(rng, expand(rng, pick(rng, requests, skew=EVEN)))),
                  ("assistant", expand(rng, pick(rng, replies)))]
    if kind > 0.2:
        request, reply = ask_and_tell(rng)
        turns += [("user", request), ("assistant", reply)]
        if rng.random() < 0.2:
            turns += [("user", pick(rng, THANKS_REQUESTS, skew=EVEN)),
                      ("assistant", expand(rng, pick(rng, THANKS_REPLIES)))]
    return [{"role": role, "content": content} for role, content in turns]
