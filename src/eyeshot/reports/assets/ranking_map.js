// The joint map: HTML controls drive a Bokeh figure whose ranges are fixed per projection.
(() => {
  "use strict";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const byId = (id) => document.getElementById(id);
  const points = read("map-points");
  const paint = eyeshotSprites(read("map-sprites"));
  const controls = byId("map-controls");
  const clouds = new Map(points.clouds.map((cloud) => [cloud.model, cloud]));
  const target = points.clouds.find((cloud) => cloud.kind === "target");
  const validation = points.clouds.find((cloud) => cloud.kind === "validation");
  const train = points.clouds.find((cloud) => cloud.kind === "train");
  const contoured = points.clouds.filter((cloud) => cloud.contours);
  const lines = (cloud) => model(`${cloud.model}-contours`);
  const sources = new Map(train ? train.ids.map((id, place) => [id, place]) : []);
  let plot = null;
  let chosen = null;

  const colour = (variable) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${variable})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };
  const value = (name) => controls.elements[name]?.value;
  const model = (name) => plot.document.get_model_by_name(name);
  const source = (name) => model(name).data_source;
  const plain = (list) => Array.from(list);

  // How each point of target and validation looks now: [shape, fill, line, width of the line].
  const looks = () => {
    const ink = colour("--ink");
    const none = "rgba(0,0,0,0)";
    if (target) {
      const own = colour("--target");
      const by = { clean: target.byClean, best: target.byBest }[value("target")];
      style(target, by && by.map((covered) => (covered === 0 ? ["x", none, ink, 1.6] : null)), own);
      byId("target-key").hidden = !by;
      if (by) {
        byId("target-inside").textContent = by.filter((covered) => covered === 1).length;
        byId("target-outside").textContent = by.filter((covered) => covered === 0).length;
      }
    }
    if (validation) {
      const on = controls.elements["right-wrong"].checked;
      const wrong = validation.predicted.map((said, place) => said >= 0 && said !== validation.label[place]);
      style(validation, on && wrong.map((is) => (is ? ["square_x", none, ink, 1.4] : null)), colour("--validation"));
      byId("validation-key").hidden = !on;
    }
    for (const cloud of points.clouds) {
      if (cloud === target || cloud === validation) continue;
      const own = colour(cloud.variable);
      const glyph = model(cloud.model).glyph;
      glyph.fill_color = { value: own };
      glyph.line_color = { value: own };
    }
    for (const cloud of contoured) lines(cloud).glyph.line_color = { value: colour(cloud.variable) };
    model("ring").glyph.line_color = { value: ink };
  };
  // Density contours follow the switches of their clouds; the points step back while they are on.
  const contours = () => {
    const on = controls.elements.contours.checked;
    for (const cloud of contoured) {
      const renderer = lines(cloud);
      renderer.data_source.data = on ? cloud.contours[Number(value("projection"))] : { xs: [], ys: [], width: [] };
      renderer.visible = on && model(cloud.model).visible;
    }
    for (const cloud of points.clouds) {
      const { glyph } = model(cloud.model);
      glyph.fill_alpha = { value: on ? 0.16 : 0.5 };
      glyph.line_alpha = { value: on ? 0.22 : 0.9 };
    }
    byId("contours-key").hidden = !on;
  };
  // Smaller points where the map is small.
  const scale = () => {
    const across = byId("map-figure").clientWidth;
    const factor = across < 500 ? 0.7 : 1;
    if (!matchMedia("print").matches) byId("map-figure").style.setProperty("--drawn", across);
    for (const cloud of points.clouds) model(cloud.model).glyph.size = { value: (cloud === train ? 6 : 7) * factor };
  };
  const style = (cloud, special, own) => {
    const data = source(cloud.model).data;
    const each = cloud.label.map((_, place) => (special && special[place]) || [cloud.shape, own, own, 0.8]);
    source(cloud.model).data = {
      ...data, shape: each.map((look) => look[0]), fill: each.map((look) => look[1]), line: each.map((look) => look[2]), width: each.map((look) => look[3]),
    };
  };

  const ranges = (left, right, bottom, top) => {
    plot.x_range.setv({ start: left, end: right });
    plot.y_range.setv({ start: bottom, end: top });
  };
  const reset = () => { ranges(...points.ranges[Number(value("projection"))]); outside(); };
  const zoom = (factor) => {
    const { x_range: x, y_range: y } = plot;
    const scaled = (range) => {
      const middle = (range.start + range.end) / 2;
      const half = ((range.end - range.start) / 2) * factor;
      return [middle - half, middle + half];
    };
    ranges(...scaled(x), ...scaled(y));
    outside();
  };
  const project = () => {
    const number = value("projection");
    for (const cloud of points.clouds) {
      const data = source(cloud.model).data;
      source(cloud.model).data = { ...data, x: data[`x${number}`], y: data[`y${number}`] };
    }
    for (const text of document.querySelectorAll(".trust")) text.hidden = text.dataset.projection !== number;
    contours();
    reset();
    ring();
  };
  const show = () => {
    for (const box of controls.querySelectorAll("[name=cloud]")) model(box.value).visible = box.checked;
    contours();
    outside();
  };
  // A far point may lie outside of the frame, which is fixed: say so instead of moving everything.
  const outside = () => {
    const { x_range: x, y_range: y } = plot;
    let count = 0;
    for (const cloud of points.clouds) {
      if (!model(cloud.model).visible) continue;
      const data = source(cloud.model).data;
      for (let place = 0; place < cloud.label.length; place += 1) {
        if (data.x[place] < x.start || data.x[place] > x.end || data.y[place] < y.start || data.y[place] > y.end) count += 1;
      }
    }
    byId("outside").hidden = count === 0;
    byId("outside").textContent = `${count} of the points that are on ${count === 1 ? "lies" : "lie"} outside of this frame: zoom out to see ${count === 1 ? "it" : "them"}.`;
  };
  const order = () => {
    if (!target) return;
    // Levels are drawn in order: underlay, glyph, overlay.
    const renderer = model(target.model);
    renderer.level = value("order") === "first" ? "underlay" : "glyph";
    const rest = plot.renderers.filter((one) => one !== renderer && one.name !== "ring");
    plot.renderers = value("order") === "first" ? [renderer, ...rest, model("ring")] : [...rest, renderer, model("ring")];
  };

  const ring = () => {
    const at = chosen && source(chosen.cloud.model).data;
    model("ring").data_source.data = at ? { x: [at.x[chosen.place]], y: [at.y[chosen.place]] } : { x: [], y: [] };
  };
  const className = (number) => (number >= 0 && number < points.classes.length ? points.classes[number] : null);
  const choose = (cloud, place) => {
    chosen = { cloud, place };
    ring();
    const lines = [];
    const kinds = { train: "training image", target: "target image", validation: "validation image" };
    lines.push(["what", kinds[cloud.kind] || `augmented by ${cloud.cloud}`]);
    const label = className(cloud.label[place]);
    if (label !== null) lines.push(["class", label]);
    if (cloud.predicted && cloud.predicted[place] >= 0) {
      const said = cloud.predicted[place];
      lines.push(["model says", `${className(said)}${said === cloud.label[place] ? " (right)" : " (wrong)"}`]);
    }
    const words = { 0: "not covered", 1: "covered" };
    const clean = cloud.byClean && words[cloud.byClean[place]];
    const best = cloud.byBest && words[cloud.byBest[place]];
    if (clean) lines.push(["clean", clean]);
    if (best) lines.push([`with ${points.advice}`, best]);
    lines.push([cloud.kind === "samples" ? "of" : "id", cloud.ids[place]]);
    const list = byId("point-text");
    list.replaceChildren(...lines.map(([word, text]) => {
      const row = document.createElement("div");
      const term = document.createElement("dt");
      const what = document.createElement("dd");
      term.textContent = word;
      what.textContent = text;
      row.append(term, what);
      return row;
    }));
    const canvas = byId("point-picture");
    const from = cloud.kind === "samples" && paint ? sources.get(cloud.ids[place]) : undefined;
    byId("point-source-box").hidden = from === undefined;
    if (paint) {
      paint(canvas, cloud.sprite[place]);
      canvas.setAttribute("aria-label", `${lines[0][1]}${label === null ? "" : ` of class ${label}`}`);
      if (from !== undefined) paint(byId("point-source"), train.sprite[from]);
    }
  };
  const look = (x, y) => {
    const across = plot.inner_width / (plot.x_range.end - plot.x_range.start);
    const up = plot.inner_height / (plot.y_range.end - plot.y_range.start);
    const reach = matchMedia("(pointer: coarse)").matches ? 24 : 12;
    let best = null;
    let least = reach * reach;
    for (const cloud of points.clouds) {
      if (!model(cloud.model).visible) continue;
      const data = source(cloud.model).data;
      for (let place = 0; place < cloud.label.length; place += 1) {
        const away = ((data.x[place] - x) * across) ** 2 + ((data.y[place] - y) * up) ** 2;
        if (away < least) { least = away; best = { cloud, place }; }
      }
    }
    if (best && (!chosen || best.cloud !== chosen.cloud || best.place !== chosen.place)) choose(best.cloud, best.place);
  };
  const walk = (step) => {
    const cloud = clouds.get(byId("walk-cloud").value);
    const count = cloud.label.length;
    const from = chosen && chosen.cloud === cloud ? chosen.place : step > 0 ? -1 : count;
    choose(cloud, (from + step + count) % count);
  };

  const start = async () => {
    if (!paint) for (const box of document.querySelectorAll(".point-pictures")) box.hidden = true;
    await Bokeh.embed.embed_item(read("map-json"));
    plot = Bokeh.documents[Bokeh.documents.length - 1].get_model_by_name("map");
    controls.reset();
    looks();
    order();
    scale();
    outside();
    addEventListener("resize", scale);
    controls.addEventListener("submit", (event) => event.preventDefault());
    byId("map-parts").addEventListener("change", (event) => {
      const changed = { projection: project, cloud: show, target: looks, "right-wrong": looks, order, contours }[event.target.name];
      if (event.target.form !== controls || !changed) return;
      changed();
      const says = event.target.closest("label").textContent.trim().replace(/\s+/g, " ");
      byId("map-status").textContent = event.target.type === "checkbox" ? `${says}: ${event.target.checked ? "on" : "off"}` : says;
    });
    document.documentElement.addEventListener("eyeshot-theme", looks);
    byId("reset-view").addEventListener("click", reset);
    byId("zoom-in").addEventListener("click", () => zoom(1 / 1.5));
    byId("zoom-out").addEventListener("click", () => zoom(1.5));
    byId("walk-on").addEventListener("click", () => walk(1));
    byId("walk-back").addEventListener("click", () => walk(-1));
    window.eyeshotMap = {
      look,
      ready: true,
      shown: () => points.clouds.filter((cloud) => model(cloud.model).visible).map((cloud) => cloud.cloud),
      ranges: () => [plot.x_range.start, plot.x_range.end, plot.y_range.start, plot.y_range.end],
      places: (name) => {
        const data = source(points.clouds.find((cloud) => cloud.cloud === name).model).data;
        return [plain(data.x), plain(data.y)];
      },
      contours: (name) => {
        const cloud = contoured.find((one) => one.cloud === name);
        return cloud && lines(cloud).visible ? lines(cloud).data_source.data.xs.length : 0;
      },
      shapes: (name) => plain(source(points.clouds.find((cloud) => cloud.cloud === name).model).data.shape),
      chosen: () => chosen && [chosen.cloud.cloud, chosen.place],
    };
  };
  start();
})();
