/** Believable text about whatever was asked: the same question always gets the same answer. */

const STOP_WORDS = new Set(
  "a an and are as at be but by can could do does for from give how i in into is it its me my of on or please say should so tell that the their them then there these they this to us was we what when where which who why will with would write you your about sentence sentences two three".split(
    " ",
  ),
);

const OPENINGS = [
  "Let us look at {0} first.",
  "The short answer is that {0} depends on {1}.",
  "People who work with {0} every day tend to begin with {1}.",
  "There is more to {0} than one might expect.",
];
const SENTENCES = [
  "In practice {0} and {1} go together, and neither is worth much without the other.",
  "A good deal of what is written about {0} leaves out {1}, which is a pity.",
  "What matters is not how often {0} is mentioned but what is done about {1}.",
  "If you keep an eye on {0}, the rest follows with little effort.",
  "Most mistakes happen where {0} meets {1}, so that is the place to be careful.",
  "It helps to write down what {0} costs before asking what {1} brings.",
  "Over the years {0} has become simpler, while {1} has stayed what it was.",
  "None of this is new, yet {0} surprises somebody every week.",
];
const CLOSINGS = [
  "That is the heart of the matter.",
  "With that in mind, {0} is easier than it looks.",
  "Everything else about {0} is detail.",
];
const BEYOND_ASCII = ["汉字", "收费站", "naïve", "Größe", "🛣️", "👩‍💻", "日本語", "žluťoučký", "Ελληνικά", "𝄞"];

export function hash(text: string): number {
  let value = 2_166_136_261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16_777_619);
  return value >>> 0;
}

/** A small generator with a seed (mulberry32): numbers from 0 up to 1. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function topicsOf(question: string): string[] {
  const words = question.toLowerCase().match(/\p{L}{3,}/gu) ?? [];
  const topics = [...new Set(words.filter((word) => !STOP_WORDS.has(word)))].slice(0, 8);
  return topics.length >= 2 ? topics : [...topics, "the question", "its answer"];
}

function fill(template: string, topics: string[], random: () => number): string {
  const draw = () => topics[Math.floor(random() * topics.length)] ?? "it";
  const first = draw();
  let second = draw();
  if (second === first) second = topics[(topics.indexOf(first) + 1) % topics.length] ?? "that";
  const sentence = template.replace("{0}", first).replace("{1}", second);
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

function paragraph(question: string): string {
  const random = seeded(hash(question));
  const topics = topicsOf(question);
  const draw = (from: readonly string[]) => fill(from[Math.floor(random() * from.length)] ?? "", topics, random);
  const sentences = [draw(OPENINGS)];
  for (let i = 0; i < 3 + Math.floor(random() * 3); i++) sentences.push(draw(SENTENCES));
  sentences.push(draw(CLOSINGS));
  const greeting = /^\s*(hello|hi|hey|good (morning|day|evening)|你好)/i.test(question) ? "Hello! " : "";
  return greeting + sentences.join(" ");
}

/** The answer to a question in pieces of about a word, exactly `count` of them when told. */
export function answerPieces(question: string, options: { count?: number | undefined; beyondAscii?: boolean } = {}): string[] {
  const words = paragraph(question).split(/(?<=\s)/);
  const pieces: string[] = [];
  for (let i = 0; i < (options.count ?? words.length); i++) {
    const word = options.beyondAscii ? `${BEYOND_ASCII[i % BEYOND_ASCII.length]} ` : (words[i % words.length] ?? "");
    pieces.push(i > 0 && i % words.length === 0 ? `\n\n${word}` : word);
  }
  return pieces;
}
