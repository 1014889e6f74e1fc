/** The emoji that the picker offers, in groups, with the names by which they are found and typed. */

/** One tap away under every message. */
export const QUICK = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏"];

/** The name that is typed between colons comes first; further words only help to find it. */
const GROUPS = {
  Smileys: `
    😀 grinning happy|😄 smile happy|😁 grin|😅 sweat_smile phew|😂 joy laugh tears lol|🤣 rofl laugh floor|🙂 slight_smile
    🙃 upside_down|😉 wink|😊 blush happy|😇 innocent angel|🥰 love hearts|😍 heart_eyes love|😘 kiss|😋 yum tasty
    😜 wink_tongue silly|🤪 zany crazy|🤗 hug|🤭 giggle oops|🤫 shush quiet secret|🤔 thinking hmm|🤐 zipper_mouth secret
    🤨 raised_eyebrow doubt|😐 neutral|😶 no_mouth speechless|😏 smirk|😒 unamused|🙄 eye_roll|😬 grimace awkward
    😌 relieved|😔 pensive sad|😴 sleeping tired|😷 mask ill|🤒 thermometer_face ill|🤯 mind_blown explode|🥳 party celebrate
    😎 cool sunglasses|🤓 nerd glasses|🧐 monocle inspect|😕 confused|😟 worried|🙁 frown sad|😮 wow open_mouth surprised
    😲 astonished|😳 flushed|🥺 pleading please|😨 fearful|😰 anxious sweat|😢 cry sad tear|😭 sob cry|😱 scream shock
    😖 confounded|😞 disappointed|😓 downcast sweat|😩 weary|😫 tired|🥱 yawn bored|😤 huff|😡 rage angry|😠 angry
    🤬 swearing|😈 devil|💀 skull dead|💩 poop|🤖 robot bot|👻 ghost|👽 alien`,
  People: `
    👍 thumbs_up +1 thumbsup yes ok good like|👎 thumbs_down -1 thumbsdown no bad dislike|👌 ok_hand perfect|✌️ victory peace|🤞 fingers_crossed luck
    🤟 love_you|🤘 rock_on|👋 wave hello hi bye|🖐️ hand five|✋ raised_hand stop high_five|👏 clap applause bravo|🙌 raised_hands hooray
    🙏 pray thanks please|🤝 handshake deal agree|💪 muscle strong|👀 eyes look seen|🧠 brain|👆 point_up|👇 point_down
    👈 point_left|👉 point_right|☝️ one_moment|✍️ writing|🤷 shrug dunno|🤦 facepalm|🙋 raising_hand me|🙆 all_ok|🙅 no_good
    🧑‍💻 developer coder|🧑‍🎓 student|🧑‍🏫 teacher|👶 baby|👪 family|🏃 running hurry|💃 dancing`,
  Hearts: `
    ❤️ heart love red|🧡 orange_heart|💛 yellow_heart|💚 green_heart|💙 blue_heart|💜 purple_heart|🖤 black_heart|🤍 white_heart
    💔 broken_heart|💕 two_hearts|💖 sparkling_heart|💯 100 hundred perfect|💥 boom collision|✨ sparkles shiny new|⭐ star
    🌟 glowing_star|🔥 fire hot lit|🎉 tada party hooray celebrate|🎊 confetti|🎈 balloon|🎁 gift present|🏆 trophy win|🥇 first_place gold
    🎂 birthday cake|💬 speech_balloon|💤 zzz sleep`,
  Nature: `
    ☀️ sunny sun|🌤️ partly_sunny|☁️ cloud|🌧️ rain|⛈️ storm|❄️ snowflake cold|🌈 rainbow|🌙 moon night|🌍 earth world|🌊 ocean wave_water
    🌱 seedling grow|🌲 tree|🌸 blossom flower|🌹 rose|🌻 sunflower|🍀 four_leaf_clover luck|🐶 dog|🐱 cat|🐭 mouse|🐰 rabbit
    🦊 fox|🐻 bear|🐼 panda|🐯 tiger|🦁 lion|🐸 frog|🐵 monkey|🙈 see_no_evil|🐔 chicken|🐧 penguin|🐦 bird|🦉 owl|🦄 unicorn
    🐝 bee|🐛 bug error|🦋 butterfly|🐢 turtle slow|🐍 snake python|🐳 whale docker|🐬 dolphin|🐘 elephant|🐑 sheep`,
  Food: `
    ☕ coffee break|🍵 tea|🍺 beer|🍻 cheers beers|🍷 wine|🥂 clinking_glasses cheers toast|🥤 drink|🍎 apple|🍌 banana|🍇 grapes|🍓 strawberry
    🍋 lemon|🍉 watermelon|🍑 peach|🥑 avocado|🍅 tomato|🥕 carrot|🌶️ hot_pepper spicy|🍞 bread|🧀 cheese|🥚 egg|🍕 pizza|🍔 burger
    🍟 fries|🌭 hot_dog|🥪 sandwich|🌮 taco|🍜 noodles ramen|🍚 rice|🍣 sushi|🥟 dumpling|🍰 cake|🍪 cookie|🍫 chocolate|🍿 popcorn|🍦 ice_cream`,
  Things: `
    ✅ white_check_mark done yes check|❌ x no wrong|❓ question|❗ exclamation|⚠️ warning|🚫 no_entry forbidden|🛑 stop|➕ plus|➖ minus
    🔴 red_circle|🟠 orange_circle|🟡 yellow_circle|🟢 green_circle|🔵 blue_circle|⏰ alarm time|⏳ hourglass wait|📅 calendar date|📌 pin
    📎 paperclip attach|📝 memo note|📚 books read|📖 book|📈 chart_up|📉 chart_down|📦 package release|📧 email mail|📞 phone call
    💻 laptop computer|🖥️ desktop|⌨️ keyboard|🖨️ printer|📷 camera photo|🎥 movie video|🎵 music note_music|🎧 headphones|🔔 bell notify|🔕 no_bell mute
    🔑 key|🔒 lock secure|🔓 unlock|🔍 search find|🔗 link|🛠️ tools fix|🔧 wrench|🔨 hammer build|⚙️ gear settings|🧪 test_tube test|💡 idea bulb
    🔋 battery|🔌 plug|💾 save floppy|🗑️ trash delete|💰 money|🚀 rocket ship launch|✈️ plane travel|🚗 car|🚲 bike|🚆 train|🏠 house home
    🏢 office|🏖️ beach holiday|⚽ soccer football|🏀 basketball|🎮 game|🎲 dice|🧩 puzzle|🎨 art design|♻️ recycle|🇰🇷 korea|🏁 finish`,
};

/** @typedef {{emoji: string, name: string, words: string}} NamedEmoji */

/** @type {Array<{title: string, emoji: NamedEmoji[]}>} */
export const EMOJI = Object.entries(GROUPS).map(([title, text]) => ({
  title,
  emoji: text.split("\n").flatMap((line) => line.split("|")).map((entry) => entry.trim()).filter(Boolean).map((entry) => {
    const [emoji, name, ...words] = entry.split(" ");
    return { emoji, name, words: [name, ...words].join(" ") };
  }),
}));

const ALL = EMOJI.flatMap((group) => group.emoji);

/**
 * Those with a word that begins so; the names first.
 * @param {string} query
 * @param {number} [most]
 */
export function findEmoji(query, most = ALL.length) {
  const wanted = query.trim().toLowerCase().replaceAll(" ", "_");
  const begins = (/** @type {string} */ words) => words.split(" ").some((word) => word.startsWith(wanted) || word.includes(`_${wanted}`));
  const named = ALL.filter(({ name }) => name.startsWith(wanted));
  return [...named, ...ALL.filter((one) => !named.includes(one) && begins(one.words))].slice(0, most);
}

/** The emoji whose name this is. @param {string} name */
export function emojiNamed(name) {
  const wanted = name.toLowerCase();
  return ALL.find((one) => one.name === wanted || one.words.split(" ").includes(wanted))?.emoji;
}

/** What an emoji is called, for those who do not see it. @param {string} emoji */
export function nameOfEmoji(emoji) {
  return ALL.find((one) => one.emoji === emoji)?.name.replaceAll("_", " ") ?? emoji;
}
