// Ask the server. A press carries an id of its own, so that sending it twice stores it once.
const command = document.documentElement.dataset.command;

class Refused extends Error {
  constructor(words, status, answer = null) {
    super(words);
    this.status = status;
    this.answer = answer;
  }
}

const answer = async (response) => {
  let body = null;
  try {
    body = await response.json();
  } catch { /* said below */ }
  if (!response.ok) throw new Refused(body?.error ?? `The server refused this (${response.status}).`, response.status, body);
  return body;
};

export const get = async (what, asked = {}) => {
  let response;
  try {
    response = await fetch(`api/${what}?${new URLSearchParams(asked)}`);
  } catch {
    throw new Error(`The server does not answer. Start ${command} again; what was stored is kept.`);
  }
  return answer(response);
};

export const post = async (what, body) => {
  const sent = JSON.stringify({ ...body, press: crypto.randomUUID().replaceAll("-", "") });
  for (let left = 1; ; left -= 1) {
    let response;
    try {
      response = await fetch(`api/${what}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: sent });
    } catch {
      if (left > 0) continue;
      throw new Error(`Not stored: the server does not answer. Start ${command} again; what was stored before is kept.`);
    }
    return answer(response);
  }
};
