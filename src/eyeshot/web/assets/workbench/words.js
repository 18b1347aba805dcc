// Numbers and names as people read them.
export const NOTHING = "–";

const fixed = (value, digits) => value.toFixed(digits).replace("-", "−").replace(/^−(0(?:\.0+)?)$/, "$1");
/** 0.9123 as "91.2 %" */
export const percent = (share, digits = 1) => (share === null || share === undefined ? NOTHING : `${fixed(100 * share, digits)} %`);
const signed = (share) => (share > 0 ? "+" : "") + fixed(100 * share, 1);
/** 0.012 as "+1.2 points" */
export const points = (share) => (share === null || share === undefined ? NOTHING : `${signed(share)} points`);
const given = (...values) => values.every((value) => value !== null && value !== undefined);
export const range = ({ low, high }) => (given(low, high) ? `${fixed(100 * low, 1)} to ${fixed(100 * high, 1)}` : "");
export const pointRange = ({ low, high }) => (given(low, high) ? `${signed(low)} to ${signed(high)}` : "");
export const pValue = (p) => (p === null || p === undefined ? NOTHING : p < 0.001 ? "< 0.001" : p.toFixed(3));

export const duration = (seconds) => {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

/** A moment, in the reader's own time zone. */
export const moment = (text) => {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? text : time.toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
};
/** How far work is, with the time that is left. */
export const progress = ({ done, total, words, seconds }, what) => {
  const left = done > 0 && total > done ? `, about ${duration((seconds / done) * (total - done))} left` : "";
  return `${what}${words ? `: ${words}` : ""}${total ? `, ${done.toLocaleString("en")} of ${total.toLocaleString("en")}` : ""}${left || (seconds > 1 ? `, ${duration(seconds)}` : "")} …`;
};
export const plural = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

// What a verdict or a state looks like: the sign speaks where colours cannot be told apart.
export const VERDICTS = {
  "as expected": ["good", "✓"], better: ["good", "▲"], worse: ["bad", "▼"], "not distinguishable": ["none", "≈"],
};
export const STATES = {
  stated: "○", waiting: "○", running: "▶", done: "●", failed: "✕", stopped: "■", dropped: "■",
};
