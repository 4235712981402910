// SPDX-License-Identifier: ISC
// The browser page: a query with its table or chart, and the status pages.
// No libraries, no markup from strings: every text goes in as a text node.
'use strict';
(() => {
  const $ = (id) => document.getElementById(id);
  const el = (tag, attrs = {}, ...kids) => {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attrs)) {
      if (k === 'class') e.className = v;
      else if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
      else e.setAttribute(k, v);
    }
    for (const k of kids) e.append(k instanceof Node ? k : document.createTextNode(k));
    return e;
  };
  const page = location.pathname.replace(/\/+$/, '').split('/').pop() || 'query';

  // --- the API ---
  async function api(path, params, signal) {
    const q = new URLSearchParams(params || {});
    const post = q.toString().length > 1500;
    const r = await fetch('api/v1/' + path + (post || !q.toString() ? '' : '?' + q),
      post ? { method: 'POST', body: q, signal } : { signal });
    const text = await r.text();
    let body;
    try { body = JSON.parse(text); } catch (e) { throw new Error(r.status + ' ' + text.trim()); }
    if (body.status !== 'success') throw new Error(body.errorType + ': ' + body.error);
    return body;
  }

  async function watchState() {
    const s = $('state');
    try {
      const r = await fetch('-/ready');
      s.textContent = r.ok ? '' :
        r.headers.get('X-Prometheus-Stopping') === 'true' ? 'shutting down …' : 'starting up …';
      s.className = r.ok ? '' : 'bad';
    } catch (e) { s.textContent = 'no connection'; s.className = 'bad'; }
    setTimeout(watchState, 5000);
  }

  // --- texts ---
  const fmtTime = (s) => {
    const d = new Date(s * 1000);
    const p = (n, w = 2) => String(n).padStart(w, '0');
    return `${d.getFullYear()}-${p(d.getMonth() + 1)}-${p(d.getDate())} ` +
      `${p(d.getHours())}:${p(d.getMinutes())}:${p(d.getSeconds())}`;
  };
  const fmtNum = (v) => {
    if (!Number.isFinite(v)) return String(v);
    const a = Math.abs(v);
    for (const [f, u] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']])
      if (a >= f) return +(v / f).toPrecision(5) + u;
    return a !== 0 && a < 1e-4 ? v.toExponential(2) : String(+v.toPrecision(5));
  };
  const fmtAgo = (iso) => {
    const s = (Date.now() - Date.parse(iso)) / 1000;
    return !(s < 1e9) ? 'never' : s < 90 ? s.toFixed(1) + ' s ago' : s < 5400 ?
      (s / 60).toFixed(0) + ' min ago' : (s / 3600).toFixed(1) + ' h ago';
  };
  const parseDur = (t) => {
    const units = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
    let sum = 0;
    for (const [, n, u] of t.matchAll(/(\d+)([smhdwy])/g)) sum += n * units[u];
    return sum;
  };
  function metricNode(m) {
    const n = el('span', { class: 'metric' });
    if (m.__name__) n.append(el('b', {}, m.__name__));
    const rest = Object.entries(m).filter(([k]) => k !== '__name__');
    if (!rest.length && m.__name__) return n;
    n.append('{');
    rest.forEach(([k, v], i) => n.append(i ? ', ' : '', el('i', {}, k), `="${v}"`));
    n.append('}');
    return n;
  }

  // --- the chart ---
  const colors = ['#d9480f', '#1c7ed6', '#2b8a3e', '#9c36b5', '#e0a100', '#0c8599',
    '#c2255c', '#5f3dc4', '#66a80f', '#868e96'];
  const chart = { series: [], hidden: new Set(), start: 0, end: 1, step: 1, hover: null, drag: null };
  const color = (i) => colors[i % colors.length];

  function niceTicks(lo, hi, n) {
    const raw = (hi - lo) / n, mag = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((f) => f * mag).find((s) => s >= raw);
    const out = [];
    for (let v = Math.ceil(lo / step) * step; v <= hi + step * 1e-9; v += step)
      out.push(Math.abs(v) < step * 1e-9 ? 0 : v);
    return out;
  }
  function timeTicks(lo, hi, n) {
    const steps = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
      86400, 172800, 604800, 2592000];
    const step = steps.find((s) => (hi - lo) / s <= n) || 31536000;
    const off = new Date(lo * 1000).getTimezoneOffset() * 60, out = [];
    for (let t = Math.ceil((lo - off) / step) * step + off; t <= hi; t += step) out.push(t);
    return { step, out };
  }
  function layout() {
    const c = $('chart'), w = c.clientWidth, h = c.clientHeight || 380;
    let lo = Infinity, hi = -Infinity;
    chart.series.forEach((s, i) => {
      if (chart.hidden.has(i)) return;
      for (const [, v] of s.points)
        if (Number.isFinite(v)) { if (v < lo) lo = v; if (v > hi) hi = v; }
    });
    if (lo > hi) { lo = 0; hi = 1; }
    if ($('zero').checked) { lo = Math.min(0, lo); hi = Math.max(0, hi); }
    if (lo === hi) { const d = Math.abs(lo) * 0.1 || 1; lo -= d; hi += d; }
    const pad = (hi - lo) * 0.05;
    if (!($('zero').checked && lo === 0)) lo -= pad;
    hi += pad;
    const box = { l: 64, r: w - 12, t: 10, b: h - 28 };
    return { w, h, lo, hi, box,
      x: (t) => box.l + (t - chart.start) / (chart.end - chart.start || 1) * (box.r - box.l),
      y: (v) => box.b - (v - lo) / (hi - lo) * (box.b - box.t) };
  }
  function drawAxes(g, L, css) {
    g.strokeStyle = css('--line'); g.fillStyle = css('--dim'); g.lineWidth = 1;
    g.font = '12px system-ui, sans-serif'; g.textBaseline = 'middle'; g.textAlign = 'right';
    for (const v of niceTicks(L.lo, L.hi, 6)) {
      const y = Math.round(L.y(v)) + 0.5;
      g.beginPath(); g.moveTo(L.box.l, y); g.lineTo(L.box.r, y); g.stroke();
      g.fillText(fmtNum(v), L.box.l - 8, y);
    }
    g.textBaseline = 'top'; g.textAlign = 'center';
    const { step, out } = timeTicks(chart.start, chart.end, Math.max(2, Math.floor((L.box.r - L.box.l) / 90)));
    for (const t of out) {
      const x = Math.round(L.x(t)) + 0.5, full = fmtTime(t);
      const txt = step >= 86400 ? full.slice(5, 10) : step < 60 ? full.slice(11) : full.slice(11, 16);
      g.beginPath(); g.moveTo(x, L.box.t); g.lineTo(x, L.box.b); g.stroke();
      g.fillText(txt, Math.min(x, L.w - g.measureText(txt).width / 2 - 1), L.box.b + 8);
    }
  }
  function draw() {
    const c = $('chart'), dpr = window.devicePixelRatio || 1, L = layout();
    if (!L.w) return;
    c.width = L.w * dpr; c.height = L.h * dpr;
    const g = c.getContext('2d');
    const style = getComputedStyle(document.documentElement);
    const css = (n) => style.getPropertyValue(n).trim();
    g.scale(dpr, dpr);
    g.clearRect(0, 0, L.w, L.h);
    drawAxes(g, L, css);
    g.save();
    g.beginPath(); g.rect(L.box.l, L.box.t - 2, L.box.r - L.box.l, L.box.b - L.box.t + 4); g.clip();
    chart.series.forEach((s, i) => {
      if (chart.hidden.has(i)) return;
      const on = chart.hover && chart.hover.i === i;
      g.strokeStyle = g.fillStyle = color(i); g.lineWidth = on ? 2.5 : 1.5; g.lineJoin = 'round';
      g.globalAlpha = chart.hover && !on && chart.series.length > 12 ? 0.35 : 1;
      g.beginPath();
      let last = null;
      s.points.forEach(([t, v], k) => {
        if (!Number.isFinite(v)) { last = null; return; }
        const gap = last === null || t - last > chart.step * 1.5;
        const next = s.points[k + 1];
        if (gap) g.moveTo(L.x(t), L.y(v)); else g.lineTo(L.x(t), L.y(v));
        if (gap && (!next || next[0] - t > chart.step * 1.5)) g.rect(L.x(t) - 1, L.y(v) - 1, 2, 2);
        last = t;
      });
      g.stroke();
    });
    g.globalAlpha = 1;
    if (chart.hover) {
      const { t, v, i } = chart.hover;
      g.fillStyle = color(i); g.beginPath(); g.arc(L.x(t), L.y(v), 4, 0, 7); g.fill();
    }
    if (chart.drag) {
      g.fillStyle = css('--accent'); g.globalAlpha = 0.15;
      g.fillRect(chart.drag.from, L.box.t, chart.drag.to - chart.drag.from, L.box.b - L.box.t);
      g.globalAlpha = 1;
    }
    g.restore();
  }
  function nearest(mx, my) {
    const L = layout(), t = chart.start + (mx - L.box.l) / (L.box.r - L.box.l) * (chart.end - chart.start);
    let best = null, bd = 60 * 60;
    chart.series.forEach((s, i) => {
      if (chart.hidden.has(i) || !s.points.length) return;
      let a = 0, b = s.points.length - 1;
      while (a < b) { const m = (a + b) >> 1; if (s.points[m][0] < t) a = m + 1; else b = m; }
      for (const k of [a - 1, a]) {
        const p = s.points[k];
        if (!p || !Number.isFinite(p[1])) continue;
        const d = (L.x(p[0]) - mx) ** 2 + (L.y(p[1]) - my) ** 2;
        if (d < bd) { bd = d; best = { i, t: p[0], v: p[1], raw: p[2] }; }
      }
    });
    return best;
  }
  function setUpChart() {
    const c = $('chart'), tip = $('tip');
    const at = (e) => { const r = c.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
    c.addEventListener('pointermove', (e) => {
      const [x, y] = at(e);
      if (chart.drag) { chart.drag.to = x; draw(); return; }
      chart.hover = nearest(x, y);
      tip.hidden = !chart.hover;
      if (chart.hover) {
        const s = chart.series[chart.hover.i];
        tip.replaceChildren(el('div', {}, fmtTime(chart.hover.t)), el('b', {}, chart.hover.raw), el('br'), metricNode(s.metric));
        tip.style.left = Math.min(x + 24, Math.max(0, c.clientWidth - tip.offsetWidth)) + 'px';
        tip.style.top = y + 28 + 'px';
      }
      draw();
    });
    c.addEventListener('pointerleave', () => { chart.hover = null; tip.hidden = true; draw(); });
    c.addEventListener('pointerdown', (e) => { const [x] = at(e); chart.drag = { from: x, to: x }; c.setPointerCapture(e.pointerId); });
    c.addEventListener('pointerup', () => {
      const d = chart.drag; chart.drag = null;
      if (!d || Math.abs(d.to - d.from) < 6) { draw(); return; }
      const L = layout(), T = (x) => chart.start + (x - L.box.l) / (L.box.r - L.box.l) * (chart.end - chart.start);
      const [a, b] = [T(d.from), T(d.to)].sort((m, n) => m - n);
      setRange(Math.max(5, Math.round(b - a))); setAt(b); run();
    });
    new ResizeObserver(draw).observe(c);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  }
  function legend() {
    const items = chart.series.slice(0, 500).map((s, i) => {
      const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      const dot = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
      dot.setAttribute('width', '100%'); dot.setAttribute('height', '100%'); dot.setAttribute('fill', color(i));
      svg.append(dot);
      return el('li', { title: 'Click to show only this one, Ctrl-click to hide it', onclick: (e) => {
        const all = chart.series.map((_, k) => k);
        if (e.ctrlKey || e.metaKey) chart.hidden.has(i) ? chart.hidden.delete(i) : chart.hidden.add(i);
        else if (chart.hidden.size === all.length - 1 && !chart.hidden.has(i)) chart.hidden.clear();
        else chart.hidden = new Set(all.filter((k) => k !== i));
        [...$('legend').children].forEach((li, k) => li.classList.toggle('off', chart.hidden.has(k)));
        draw();
      } }, svg, metricNode(s.metric));
    });
    $('legend').replaceChildren(...items);
  }

  // --- the query page ---
  let tab = 'table', abort = null, timer = 0, names = [];
  const ranges = ['1m', '5m', '15m', '30m', '1h', '2h', '6h', '12h', '1d', '2d', '1w', '2w', '4w', '8w', '1y'];
  function setRange(seconds) {
    const s = $('range');
    const known = ranges.find((r) => parseDur(r) === seconds) || seconds + 's';
    if (![...s.options].some((o) => o.value === known)) s.append(el('option', { value: known }, known));
    s.value = known;
  }
  const getAt = () => $('at').value ? Date.parse($('at').value) / 1000 : null;
  const setAt = (s) => { $('at').value = s === null ? '' : fmtTime(s).replace(' ', 'T'); };
  function setTab(t) {
    tab = t === 'graph' ? 'graph' : 'table';
    for (const b of document.querySelectorAll('[data-tab]'))
      b.setAttribute('aria-selected', String(b.dataset.tab === tab));
    $('graph-controls').hidden = tab !== 'graph';
    $('graph-controls').style.display = tab === 'graph' ? '' : 'none';
  }
  function remember() {
    const p = new URLSearchParams({ 'g0.expr': $('expr').value, 'g0.tab': tab, 'g0.range_input': $('range').value });
    if ($('step').value) p.set('g0.step_input', $('step').value);
    if ($('at').value) p.set(tab === 'graph' ? 'g0.end_input' : 'g0.moment_input', $('at').value.replace('T', ' '));
    if ('?' + p !== location.search) history.pushState(null, '', '?' + p);
  }
  function recall() {
    const p = new URLSearchParams(location.search);
    $('expr').value = p.get('g0.expr') || '';
    setTab({ 0: 'graph', 1: 'table' }[p.get('g0.tab')] || p.get('g0.tab'));
    setRange(parseDur(p.get('g0.range_input') || '1h') || 3600);
    $('step').value = p.get('g0.step_input') || '';
    const t = p.get('g0.end_input') || p.get('g0.moment_input');
    $('at').value = t ? t.replace(' ', 'T') : '';
    grow();
  }
  function grow() { const e = $('expr'); e.style.height = ''; e.style.height = Math.min(400, e.scrollHeight + 2) + 'px'; }

  function showNotes(body) {
    const list = [...(body.warnings || []), ...(body.infos || [])];
    $('notes').replaceChildren(...list.map((t) => el('p', { class: 'note warn' }, t)));
  }
  function histText(h) {
    return `count ${h.count}, sum ${h.sum}` + (h.buckets || []).map(([r, a, b, n]) =>
      `\n${'([(['[r]}${a}, ${b}${']))]'[r]}  ${n}`).join('');
  }
  function showTable(data) {
    const rows = [], r = data.result, max = 10000;
    const val = (t, ...k) => el('td', { class: 'num mono', title: fmtTime(t) }, ...k);
    if (data.resultType === 'scalar' || data.resultType === 'string')
      rows.push(el('tr', {}, el('td', { class: 'dim' }, data.resultType), val(r[0], r[1])));
    else for (const s of r.slice(0, max)) {
      const pts = [...(s.values || []), ...(s.histograms || [])];
      const one = s.value || s.histogram;
      const text = (v) => typeof v === 'string' ? v : histText(v);
      rows.push(el('tr', {}, el('td', {}, metricNode(s.metric)),
        one ? val(one[0], text(one[1])) : el('td', { class: 'num mono' }, pts.map(([t, v]) => `${text(v)} @${t}`).join('\n'))));
    }
    if (!rows.length) rows.push(el('tr', {}, el('td', { class: 'dim' }, 'Empty query result')));
    if (r.length > max) rows.push(el('tr', {}, el('td', { class: 'dim' }, `… ${r.length - max} more series`)));
    $('result').tBodies[0].replaceChildren(...rows);
    $('result').hidden = false;
  }
  function showChart(data, start, end, step) {
    chart.series = data.result.slice(0, 2000).map((s) => ({ metric: s.metric,
      points: (s.values || []).map(([t, v]) => [t, Number(v.replace('Inf', 'Infinity')), v]) }));
    Object.assign(chart, { start, end, step, hover: null });
    chart.hidden.clear();
    $('chart-box').hidden = false;
    legend(); draw();
  }
  async function run(quiet) {
    const expr = $('expr').value.trim();
    clearTimeout(timer);
    $('suggest').hidden = true;
    if (abort) abort.abort();
    if (!expr) return;
    abort = new AbortController();
    if (!quiet) remember();
    const began = performance.now(), every = Number($('refresh').value);
    try {
      const at = getAt() ?? Date.now() / 1000;
      let body;
      if (tab === 'graph') {
        const range = parseDur($('range').value);
        const step = Number($('step').value) || Math.max(Math.floor(range / 250), 1);
        body = await api('query_range', { query: expr, start: at - range, end: at, step }, abort.signal);
        $('result').hidden = true;
        showChart(body.data, at - range, at, step);
      } else {
        body = await api('query', { query: expr, time: at }, abort.signal);
        $('chart-box').hidden = true;
        showTable(body.data);
      }
      showNotes(body);
      $('error').hidden = true;
      const n = Array.isArray(body.data.result) && /vector|matrix/.test(body.data.resultType) ? body.data.result.length : 1;
      $('stats').textContent = `${n} series, ${Math.round(performance.now() - began)} ms`;
    } catch (e) {
      if (e.name === 'AbortError') return;
      $('error').textContent = e.message; $('error').hidden = false;
      $('result').hidden = $('chart-box').hidden = true;
      $('notes').replaceChildren(); $('stats').textContent = '';
    }
    if (every) timer = setTimeout(() => run(true), every * 1000);
  }

  // --- names to choose from while typing ---
  function wordAt() {
    const e = $('expr'), m = /[a-zA-Z_:][\w:]*$/.exec(e.value.slice(0, e.selectionStart));
    return m && { word: m[0], from: m.index };
  }
  function suggest() {
    const list = $('suggest'), w = wordAt();
    const hits = w && w.word.length > 1 ? names.filter((n) => n.includes(w.word) && n !== w.word)
      .sort((a, b) => b.startsWith(w.word) - a.startsWith(w.word)).slice(0, 20) : [];
    list.hidden = !hits.length;
    list.replaceChildren(...hits.map((n, i) => el('li', { class: i ? '' : 'on', onmousedown: (e) => { e.preventDefault(); take(n); } }, n)));
  }
  function take(name) {
    const e = $('expr'), w = wordAt();
    if (w) e.setRangeText(name, w.from, e.selectionStart, 'end');
    $('suggest').hidden = true;
    e.focus();
  }
  function onKey(e) {
    const list = $('suggest'), on = list.querySelector('.on');
    if (!list.hidden && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) {
      const to = e.key === 'ArrowDown' ? on.nextSibling || list.firstChild : on.previousSibling || list.lastChild;
      on.className = ''; to.className = 'on'; to.scrollIntoView({ block: 'nearest' });
    } else if (!list.hidden && e.key === 'Tab') take(on.textContent);
    else if (e.key === 'Escape') list.hidden = true;
    else if (e.key === 'Enter' && !e.shiftKey) run();
    else return;
    e.preventDefault();
  }
  function queryPage() {
    $('page-query').hidden = false;
    $('range').append(...ranges.map((r) => el('option', { value: r }, r)));
    setUpChart();
    recall();
    $('query-form').addEventListener('submit', (e) => { e.preventDefault(); run(); });
    $('expr').addEventListener('input', () => { grow(); suggest(); });
    $('expr').addEventListener('keydown', onKey);
    $('expr').addEventListener('blur', () => { $('suggest').hidden = true; });
    for (const b of document.querySelectorAll('[data-tab]'))
      b.addEventListener('click', () => { setTab(b.dataset.tab); run(); });
    for (const id of ['range', 'step', 'at', 'refresh']) $(id).addEventListener('change', () => run());
    $('zero').addEventListener('change', draw);
    $('now').addEventListener('click', () => { setAt(null); run(); });
    const move = (f) => { setAt((getAt() ?? Date.now() / 1000) + f * parseDur($('range').value)); run(); };
    $('older').addEventListener('click', () => move(-0.5));
    $('newer').addEventListener('click', () => move(0.5));
    addEventListener('popstate', () => { recall(); run(true); });
    api('label/__name__/values').then((b) => { names = b.data; }, () => { names = []; });
    run(true);
    $('expr').focus();
  }

  // --- the other pages ---
  const table = (head, rows, kind = '') => el('table', { class: kind }, el('tbody', {},
    ...(head ? [el('tr', {}, ...head.map((h) => el('th', { class: h === 'Count' ? 'num' : '' }, h)))] : []),
    ...rows.map((r) => el('tr', {}, ...r.map((c) => c instanceof Element && c.tagName === 'TD' ? c : el('td', {}, c))))));
  const short = (...k) => el('td', { class: 'short' }, ...k);
  const tags = (labels) => el('span', {}, ...Object.entries(labels).map(([k, v]) => el('span', { class: 'tag' }, `${k}="${v}"`)));
  const pairs = (o) => table(null, Object.entries(o).map(([k, v]) => [k, el('span', { class: 'mono' }, String(v))]), 'pairs');

  async function targetsPage(out) {
    const { data } = await api('targets');
    const pools = Map.groupBy ? Map.groupBy(data.activeTargets, (t) => t.scrapePool) :
      data.activeTargets.reduce((m, t) => m.set(t.scrapePool, [...(m.get(t.scrapePool) || []), t]), new Map());
    for (const [name, list] of pools) {
      out.append(el('h2', {}, `${name} (${list.filter((t) => t.health === 'up').length}/${list.length} up)`),
        table(['Endpoint', 'State', 'Labels', 'Last scrape', 'Duration', 'Error'], list.map((t) => [
          el('a', { href: t.globalUrl, rel: 'noreferrer' }, t.scrapeUrl), short(el('span', { class: t.health }, t.health)), tags(t.labels),
          short(fmtAgo(t.lastScrape)), short((t.lastScrapeDuration * 1000).toFixed(1) + ' ms'), t.lastError]), 'targets'));
    }
    if (!pools.size) out.append(el('p', { class: 'dim' }, 'No targets.'));
    const dropped = Object.entries(data.droppedTargetCounts || {}).filter(([, n]) => n);
    if (dropped.length) out.append(el('h2', {}, 'Dropped by relabelling'), pairs(Object.fromEntries(dropped)));
    out.append(el('p', {}, el('a', { href: 'api/v1/targets' }, 'as JSON')));
  }
  const simple = { targets: ['Targets', targetsPage],
    status: ['Status', async (out) => {
      for (const [what, title] of [['runtimeinfo', 'Runtime'], ['buildinfo', 'Build']])
        out.append(el('h2', {}, title), pairs((await api('status/' + what)).data));
    }],
    flags: ['Flags', async (out) => { out.append(pairs((await api('status/flags')).data)); }],
    config: ['Configuration', async (out) => { out.append(el('pre', {}, (await api('status/config')).data.yaml)); }],
    'tsdb-status': ['Time series database', async (out) => {
      const { headStats, ...lists } = (await api('status/tsdb')).data;
      for (const k of ['minTime', 'maxTime'])
        if (Math.abs(headStats[k]) < 8e15) headStats[k] += ` (${fmtTime(headStats[k] / 1000)})`;
      out.append(el('h2', {}, 'Head'), pairs(headStats));
      for (const [k, list] of Object.entries(lists))
        out.append(el('h2', {}, (k[0].toUpperCase() + k.slice(1).replace(/([A-Z])/g, (c) => ' ' + c.toLowerCase()))),
          table(['Name', 'Count'], list.map((i) => [el('span', { class: 'mono' }, i.name), el('td', { class: 'num' }, String(i.value))])));
    }] };
  async function otherPage() {
    const [title, fill] = simple[page] || ['Not there yet', async (out) => {
      out.append(el('p', { class: 'dim' }, 'This page has no content in this version.'));
    }];
    $('page-other').hidden = false;
    $('title').textContent = title;
    try { await fill($('content')); } catch (e) { $('content').append(el('p', { class: 'note bad' }, e.message)); }
  }

  for (const a of document.querySelectorAll('nav [data-page]')) a.classList.toggle('on', a.dataset.page === page);
  watchState();
  if (page === 'query') queryPage(); else otherPage();
})();
