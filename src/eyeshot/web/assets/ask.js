// Ask the server. A press carries an id of its own, so that sending it twice stores it once.
const answer = async (response) => {
  let body = null;
  try {
    body = await response.json();
  } catch { /* said below */ }
  if (!response.ok) throw new Error(body && body.error ? body.error : `The server refused this (${response.status}).`);
  return body;
};

export const get = async (what, asked = {}) => answer(await fetch(`api/${what}?${new URLSearchParams(asked)}`));

export const post = async (what, body) => {
  const sent = JSON.stringify({ ...body, press: crypto.randomUUID().replaceAll("-", "") });
  for (let left = 1; ; left -= 1) {
    let response = null;
    try {
      response = await fetch(`api/${what}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: sent });
    } catch {
      if (left > 0) continue;
      throw new Error("Not stored: the server does not answer. Start eyeshot review again; what was stored before is kept.");
    }
    return answer(response);
  }
};
